// Threads that share a loop, and wait for the next one where it is not far away.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace seq2seq {

using std::int64_t;

// A caller and its helpers, who take parts of a loop until there are none left. Nobody waits for a
// helper that has not begun: beside other busy processes it may not get a processor for long.
//
// One caller at a time; helpers are made when they are first needed.
class Team {
 public:
  static Team& get() {
    // Never destroyed: helpers may still wait for it when a process ends. After a fork the child has
    // none of the helpers, so it gets a team of its own.
    static std::once_flag once;
    std::call_once(once, [] {
      current().store(new Team);
      pthread_atfork(nullptr, nullptr, [] {
        Team* fresh = new Team;
        fresh->threads_ = current().load()->threads_.load();
        current().store(fresh);
      });
    });
    return *current().load();
  }

  int64_t threads() const { return threads_; }
  void set_threads(int64_t count) { threads_ = count < 1 ? 1 : count > kMost ? kMost : count; }

  // work(begin, end) for parts of 0 to `size`, by as many threads as there are and have time.
  void share(int64_t size, const std::function<void(int64_t, int64_t)>& work) {
    const int64_t count = threads();
    std::unique_lock<std::mutex> caller(callers_, std::try_to_lock);
    if (count < 2 || size < 2 || !caller.owns_lock() || !have(count - 1)) {
      work(0, size);
      return;
    }
    const auto parts = static_cast<std::uint64_t>(std::min(size, kParts * count));
    work_ = &work, size_ = size;
    done_.store(0, std::memory_order_relaxed);
    const std::uint64_t round = (tickets_.load(std::memory_order_relaxed) >> 32) + 1;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      tickets_.store(round << 32 | parts << 16, std::memory_order_release);
    }
    if (asleep_.load() > 0) wake_.notify_all();
    take();
    for (int64_t turn = 1; done_.load(std::memory_order_acquire) < parts; turn++) {
      if (turn % 4096) {
        pause();
      } else {
        std::this_thread::yield();  // a helper may wait for this processor
      }
    }
    if (failure_ != nullptr) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

  // Callers inside an operator.
  std::atomic<int> at_work{0};

 private:
  static constexpr int64_t kMost = 256;
  static constexpr int64_t kParts = 4;  // for each thread
  static constexpr std::chrono::microseconds kAwake{200};

  static std::atomic<Team*>& current() {
    static std::atomic<Team*> team{nullptr};
    return team;
  }

  static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();
#else
    std::this_thread::yield();
#endif
  }

  // Do parts until all are taken. What a part needs stays as it is until the part is done.
  void take() {
    std::uint64_t ticket = tickets_.load(std::memory_order_acquire);
    for (;;) {
      const std::uint64_t parts = ticket >> 16 & 0xffff, part = ticket & 0xffff;
      if (part >= parts) return;
      if (!tickets_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) continue;
      const auto size = static_cast<std::uint64_t>(size_);
      try {
        (*work_)(size * part / parts, size * (part + 1) / parts);
      } catch (...) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (failure_ == nullptr) failure_ = std::current_exception();
      }
      done_.fetch_add(1, std::memory_order_release);
      ticket = tickets_.load(std::memory_order_acquire);
    }
  }

  // Whether there are parts for a helper: the first has number 1, after the caller.
  bool parts_left(int64_t number) const {
    if (number >= threads()) return false;
    const std::uint64_t ticket = tickets_.load(std::memory_order_acquire);
    return (ticket & 0xffff) < (ticket >> 16 & 0xffff);
  }

  // Whether there are so many helpers, some of whom may have to be made.
  bool have(int64_t count) {
    try {
      while (helpers_ < count) {
        std::thread([this, number = helpers_ + 1] { help(number); }).detach();
        helpers_++;
      }
    } catch (const std::system_error&) {
      return false;
    }
    return true;
  }

  void help(int64_t number) {
    auto since = std::chrono::steady_clock::now();
    for (int64_t turn = 1;; turn++) {
      if (parts_left(number)) {
        take();
        since = std::chrono::steady_clock::now();
      }
      pause();
      if (turn % 64 || std::chrono::steady_clock::now() - since < kAwake) continue;
      std::unique_lock<std::mutex> lock(mutex_);
      asleep_++;
      wake_.wait(lock, [this, number] { return parts_left(number); });
      asleep_--;
      since = std::chrono::steady_clock::now();
    }
  }

  std::mutex callers_, mutex_;
  std::condition_variable wake_;
  std::atomic<int64_t> threads_{1}, asleep_{0};
  std::atomic<std::uint64_t> tickets_{0};  // a round's number (32 bits), its parts, those taken
  std::atomic<std::uint64_t> done_{0};
  int64_t helpers_ = 0;  // the caller's, as the next two
  const std::function<void(int64_t, int64_t)>* work_ = nullptr;
  int64_t size_ = 0;
  std::exception_ptr failure_;  // the first of a round
};

}  // namespace seq2seq
