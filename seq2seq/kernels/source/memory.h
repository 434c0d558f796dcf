// Memory for what is computed along the way: the operators ask for much of it, thousands of times a second.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace seq2seq {

using std::int64_t;

// Blocks that were given back, for whoever asks next. The system would take large ones away, and hand
// them out again page by page as they are written to, which takes a tenth of a step.
class Pool {
 public:
  static Pool& get() {
    static Pool* const pool = new Pool;  // outlives every thread
    return *pool;
  }

  void* take(std::size_t bytes) {
    const int kind = kind_of(bytes);
    if (kind < kKinds) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (Free* const block = free_[kind]) {
        free_[kind] = block->next;
        kept_ -= size_of(kind);
        return block;
      }
    }
    return ::operator new(kind < kKinds ? size_of(kind) : bytes, kLine);
  }

  void give(void* block, std::size_t bytes) {
    const int kind = kind_of(bytes);
    if (kind < kKinds) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (kept_ + size_of(kind) <= kMost) {
        free_[kind] = new (block) Free{free_[kind]};
        kept_ += size_of(kind);
        return;
      }
    }
    ::operator delete(block, kLine);
  }

 private:
  // Nobody else holds the lock while the process is copied: the copy has nobody to give it back.
  Pool() {
    pthread_atfork([] { get().mutex_.lock(); }, [] { get().mutex_.unlock(); },
                   [] { get().mutex_.unlock(); });
  }

  static constexpr std::align_val_t kLine{64};  // where a line of the caches begins
  static constexpr std::size_t kSmallest = 4096, kMost = 16 << 20;
  static constexpr int kKinds = 12;  // each of twice the size of the one before

  // The beginning of a block that nobody uses.
  struct Free {
    Free* next;
  };

  static std::size_t size_of(int kind) { return kSmallest << kind; }

  static int kind_of(std::size_t bytes) {
    int kind = 0;
    while (kind < kKinds && size_of(kind) < bytes) kind++;
    return kind;
  }

  std::mutex mutex_;
  Free* free_[kKinds] = {};
  std::size_t kept_ = 0;
};

// Memory that nobody has written to yet: what is computed next fills all of it.
template <class T>
struct Unwritten : std::allocator<T> {
  template <class U>
  struct rebind {
    using other = Unwritten<U>;
  };
  T* allocate(std::size_t count) { return static_cast<T*>(Pool::get().take(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t count) { Pool::get().give(memory, count * sizeof(T)); }
  template <class U>
  void construct(U*) noexcept {}
  template <class U, class... Given>
  void construct(U* place, Given&&... given) {
    ::new (static_cast<void*>(place)) U(std::forward<Given>(given)...);
  }
};
using Floats = std::vector<float, Unwritten<float>>;

}  // namespace seq2seq
