"""Every sentence that the page says, in one place."""

from __future__ import annotations

from seq2seq import languages

__all__ = [
    "ALIGNMENTS_TITLE",
    "ALIGNMENT_NOTE",
    "ATTENTION",
    "BATCH_DAMAGED",
    "BATCH_DONE",
    "BATCH_EMPTY",
    "BATCH_FILE",
    "BATCH_GO",
    "BATCH_INFO",
    "BATCH_PROGRESS",
    "BATCH_SCORES",
    "BATCH_STOP",
    "BATCH_STOPPED",
    "BATCH_TEXT",
    "BATCH_TOO_LONG",
    "BATCH_WAITING",
    "BEST_MAP",
    "BUSY",
    "CHAPTERS",
    "COLUMNS",
    "COMPARE",
    "COMPARE_COUNT",
    "COMPARE_FACTS",
    "COMPARE_MODELS",
    "COMPARE_STEPS",
    "COMPARE_WAITING",
    "COMPARING",
    "CROWDED",
    "DAMAGED",
    "DOCUMENT_TOO_LARGE",
    "DONE",
    "EDIT_DAMAGED",
    "EDIT_DELETED",
    "EDIT_END",
    "EDIT_FROM",
    "EDIT_LAST_WORD",
    "EDIT_REPLACED",
    "EDIT_TEXT",
    "EDIT_TOKEN",
    "EMPTY",
    "EXPORTED",
    "FAILED",
    "FETCHED",
    "FETCHING",
    "FIRST_COLUMNS",
    "FIRST_STEPS",
    "FORCE",
    "FROM_START",
    "GLOSSARY",
    "HEADS_NOTE",
    "HELP_ALIGNMENTS",
    "HELP_ATTENTION",
    "HELP_COMPARE",
    "HELP_LENGTHS",
    "HELP_PIECES",
    "HELP_READING",
    "HELP_STEPS",
    "HELP_TREE",
    "HELP_WHAT_IF",
    "HIDDEN",
    "HUB",
    "HUB_ASKING",
    "HUB_CANCEL",
    "HUB_CLOSED",
    "HUB_HELP",
    "HUB_ID",
    "HUB_LISTED",
    "HUB_LOAD",
    "HYPOTHESES",
    "INTERFACE_LANGUAGE",
    "INTRODUCTION",
    "LEARN",
    "LEGEND",
    "LENGTHS_TITLE",
    "LINES_NOTE",
    "MAP_ERROR",
    "NOTHING_TO_SAVE",
    "NOT_MEASURED",
    "NOT_TEXT",
    "NO_ATTENTION",
    "NO_MODEL",
    "NO_MODELS",
    "NO_RESULTS",
    "NO_SWAP",
    "NO_TRACE",
    "NUMBER",
    "OCCLUSION",
    "OCCLUSION_NOTE",
    "OPENED",
    "OWN",
    "PICTURES",
    "PLACEHOLDER",
    "REFUSED",
    "REMOTE_MODEL",
    "ROOT",
    "SCORES_CAPTION",
    "SHOWN",
    "SHOWN_COLUMNS",
    "SIGNS",
    "STEPS",
    "STILL_BUSY",
    "STOPPED",
    "STOPPING",
    "SWAP",
    "TITLE",
    "TOO_LONG",
    "TOO_SLOW",
    "TOUR_SHOW",
    "TREE",
    "TREE_NOTE",
    "WAITING",
    "WAITING_FOR_MODEL",
    "WHOLE_NUMBER",
    "direction_name",
    "language_name",
    "token_name",
]

TITLE = "Seq2Seq Explorer"
INTRODUCTION = (
    "Translate a sentence with a small neural model and see how it was done: where the model "
    "looked, what it weighed at every step, and which translations it gave up on the way."
)
PLACEHOLDER = "The translation appears here, word by word."
WAITING = "Translate a sentence to see this."

EMPTY = "There is nothing to translate: please type a sentence."
TOO_LONG = (
    "The text has {count} characters; the limit is {limit:,}. Nothing was cut: your text is "
    "still in the box, please shorten it."
)
WAITING_FOR_MODEL = "Waiting for the model …"
BUSY = "Translating …"
STILL_BUSY = "Still translating the sentence before: wait for it, or press Stop."
STOPPING = "Stopping …"
REFUSED = "The server did not take this sentence. It is still in the box: please try again."
DONE = "Translated in {milliseconds:.0f} ms."
STOPPED = "Stopped. The translation below is unfinished."
TOO_SLOW = "Stopped after {seconds:.0f} seconds. The translation below is unfinished."
CROWDED = (
    "Too many people are translating just now. Your text is still in the box: please try again in "
    "a moment."
)
FAILED = "Something went wrong on our side, and it has been logged. Your text is still in the box."
WHOLE_NUMBER = "{label} has to be a whole number from {low} to {high}."
NUMBER = "{label} has to be a number from {low} to {high}."
NO_MODEL = "There is no model “{name}”."
NO_MODELS = "There is no model to translate with: the folder “checkpoints” holds none."
DAMAGED = "The translation that the page sent back could not be read; please translate again."
DOCUMENT_TOO_LARGE = (
    "This translation is too long to be drawn anew; only its first view can be shown."
)
NO_ATTENTION = (
    "This model has no attention: its decoder sees the source only as one vector, the encoder's "
    "final state. There is no alignment to show."
)
NO_TRACE = "This translation was made without recording the search."

FIRST_STEPS = "Only the first {shown} of {all} steps are shown."
FIRST_COLUMNS = "Only the first {shown} of {all} positions are drawn."
TREE_NOTE = "{drawn:,} of the {all:,} recorded candidates are drawn."

HELP_ATTENTION = (
    "Each row is a word of the translation. Its cells tell how the model divided its attention "
    "over the words of the sentence while it wrote that word: the stronger the colour, the more, "
    "and a row adds up to 1. Attention tells where the model looked, not why it chose a word. "
    "</s> is the end of a sentence; nothing is hidden."
)
MAP_ERROR = (
    "Alignment error of this map: {rate}; the best one of this model has {best} ({sentences} "
    "sentences aligned by people)."
)
NOT_MEASURED = "Nobody has measured how well the attention of this model aligns words."
PICTURES = [
    ("heatmap", "heatmap"),
    ("alignment lines", "lines"),
    ("all layers and heads", "heads"),
    ("leaving words out", "occlusion"),
]
BEST_MAP = "Best measured map"
LINES_NOTE = (
    "Each word of the translation is joined with the fewest source words that hold 75 % of its "
    "attention; the table says what is not drawn."
)
HEADS_NOTE = (
    "Source from left to right, translation from top to bottom. Click on a map to look at it."
)
OCCLUSION_NOTE = (
    "Each source word is left out in turn, and the model is asked again how probable it finds "
    "this very translation. Blue: the word of the translation needs that source word. Amber: it "
    "would be more probable without it. This is not attention: it tells what the model used, for "
    "models with and without attention alike."
)
HELP_PIECES = (
    "The model reads and writes pieces of words. For words, pieces of the source are added up and "
    "pieces of the target averaged."
)
HELP_READING = "The second choice shows each row one step later, when the word is read again."
HELP_STEPS = (
    "The decoder writes one piece of a word at a time. The first chart shows the most probable "
    "next pieces and the one that was taken, the second where the model looked meanwhile. A dot "
    "marks a piece that continues a word; </s> ends the sentence."
)
HELP_TREE = (
    "A beam search follows several translations at once. Every column is one output position, "
    "best score at the top: blue circles were kept, orange squares are finished, grey crosses "
    "were given up, and the thick line leads to the translation. Scores are natural logarithms "
    "of probabilities; the finished are ranked by the one normalised by length. Point at a mark "
    "for its scores, drag to move."
)

LEGEND = "Probability the model gave each word:"
HELP_WHAT_IF = (
    "Choose a word of the translation or of the sentence above, with the mouse or with Tab, the "
    "arrow keys and Enter. Below it stands what else the model could have written there: take "
    "it, or write something else, and the rest is decoded again from there. Words with a dotted "
    "frame are those that the model was least sure of. A word of the sentence can be replaced or "
    "left out. Every attempt is kept here, with what it changed."
)
FORCE = "write “{piece}” there instead ({probability})"
EDIT_TOKEN = "“{new}” instead of “{old}”"  # noqa: S105
EDIT_END = "ended before “{old}”"
EDIT_FROM = "“{new}” instead of the end"
EDIT_TEXT = "“{new}” from “{old}” on"
EDIT_REPLACED = "source: “{new}” instead of “{old}”"
EDIT_DELETED = "source: without “{old}”"
ROOT = "the translation"
SHOWN = "Shown again, as it was translated."
FROM_START = "decoded anew from the start: nothing is forced any more"
OWN = "the model's own probability {probability}, rank {ranks}"
EDIT_DAMAGED = "This change does not fit the translation on the page; please translate again."
EDIT_LAST_WORD = "Nothing would be left of the sentence."

SIGNS: dict[str, tuple[str, str, str]] = {
    "source": (
        "Another source language?",
        "The sentence looks like {detail}, not like the language that it is translated from.",
        "choose another direction or model",
    ),
    "loop": (
        "Repeats itself",
        "The same words stand there {detail} times in a row: the decoder saw its own words and "
        "found them likely to come again.",
        "",
    ),
    "copied": (
        "Copied",
        "Most words of the translation are those of the sentence itself.",
        "",
    ),
    "language": (
        "Another language?",
        "The translation looks like {detail}.",
        "",
    ),
    "short": (
        "Ended early?",
        "The translation has far fewer words than the sentence ({detail}).",
        "",
    ),
    "unread": (
        "Not looked at",
        "No step looked much at: {words}. What they say may be missing.",
        "try another word for one of them",
    ),
    "unknown": (
        "Unknown characters",
        "The model has no piece for some characters and spells them byte by byte: {words}.",
        "try another word for it",
    ),
}
"""Title, explanation and hint of each sign of trouble."""

COMPARE = "Compare"
COMPARE_MODELS = "Models, two to {limit}"
COMPARE_COUNT = "Please choose two to {limit} models."
COMPARE_WAITING = "The sentence above, translated by several models: choose them and press Compare."
COMPARING = "Translating with {name} …"
COMPARE_STEPS = "What each model wrote at each step, with its own probability"
COMPARE_FACTS = (
    "{milliseconds:.0f} ms · score {score:.3f} · log-probability {log_probability:.3f} · "
    "{parameters:,} parameters"
)
HELP_COMPARE = (
    "One sentence through several models, with the same settings. Scores of different models are "
    "not comparable: each rates its own translation. A model without attention shows instead what "
    "each source word changes."
)
BATCH_TEXT = "Sentences"
BATCH_INFO = (
    "One a line, at most {limit:,}; with a reference translation after a tab, BLEU and chrF are "
    "computed. Model, direction and settings are those above."
)
BATCH_FILE = "… or a file: TXT, TSV or CSV"
BATCH_GO = "Translate all"
BATCH_STOP = "Stop"
BATCH_WAITING = "The worst translations come first; click on one to open it above."
BATCH_EMPTY = "There is nothing to translate: please type sentences or choose a file."
BATCH_TOO_LONG = "There are {count:,} sentences; at most {limit:,} are translated at once."
BATCH_DAMAGED = "The table cannot be read: {error}."
BATCH_PROGRESS = "{done:,} of {total:,} sentences, about {left:.0f} seconds left"
BATCH_DONE = "{total:,} sentences in {seconds:.1f} seconds"
BATCH_STOPPED = "Stopped after {seconds:.0f} seconds; what is done is kept."
BATCH_SCORES = "BLEU {bleu:.2f}, chrF {chrf:.2f} ({signature})"

ATTENTION = "Attention"
STEPS = "Step by step"
TREE = "Beam tree"
OCCLUSION = "Leaving words out"
EXPORTED = "Saved from the Seq2Seq Explorer; model {model}, revision {revision}."
OPENED = "Opened from a file."
NOTHING_TO_SAVE = "There is no translation to save yet."

HYPOTHESES = "The {count} live hypotheses at this step"

NOT_TEXT = "This has to be text: {value}"
LEARN = "Learn"
TOUR_SHOW = "Show me"
CHAPTERS = (
    (
        "1. The bottleneck",
        (
            "The first neural translators (Sutskever 2014) read the whole sentence into one "
            "vector and wrote the translation from that vector alone. A short sentence fits; of a "
            "long one, something gets lost.",
            "Look at the end of the translation of this long sentence, and compare it with another "
            "model in the tab Compare. The map shows which source words the translation needs: "
            "there is no attention to show. In the tab Models, the curve of this model falls as "
            "sentences get longer.",
        ),
    ),
    (
        "2. Attention",
        (
            "Attention (Bahdanau 2015) gives up the single vector: at every step the decoder looks "
            "at all source words again and takes what it needs now.",
            "Each row of the map is a word of the translation. Follow the dark cells: where French "
            "and English order their words alike they run down the diagonal, and where they do "
            "not, they jump. Point at a word of the translation to see where the model looked.",
        ),
    ),
    (
        "3. Many heads",
        (
            "A Transformer (Vaswani 2017) has several attentions side by side in every layer, "
            "called heads. Nobody tells them what to look for.",
            "Some heads follow the words, some look at the end of the sentence, some at "
            "neighbours. Click on one of the small maps to look at it. The line below says how "
            "well that head agrees with people who aligned words by hand; “Best measured map” "
            "shows the best.",
        ),
    ),
    (
        "4. Beam search",
        (
            "At each step the decoder rates every piece of its vocabulary. Always taking the best "
            "one (greedy search) can end in a corner, so several beginnings are followed at once: "
            "the beam.",
            "Every column is one more piece. Grey ones were given up because others had better "
            "scores; the thick line became the translation. Now choose a word of the translation "
            "above and take another piece for it: the tab What if keeps every attempt.",
        ),
    ),
)
GLOSSARY = {
    "attention": "how a decoder divides its look at the source over all its words; adds up to 1",
    "beam search": "follows several unfinished translations at once and keeps the best of them",
    "decoder": "the part of the model that writes the translation, piece by piece",
    "pieces": "parts of words that the model reads and writes; frequent words are one piece",
    "entropy": "how undecided a distribution is: 0 for one certain choice",
    "alignment error rate": "share of wrong and missing links, measured on words aligned by people",
    "hypotheses": "unfinished translations that the search still follows",
    "log-probability": "natural logarithm of a probability: 0 is certain, lower is less probable",
    "BLEU": "overlap with a human translation in words and word groups, from 0 to 100",
}

SWAP = "Swap the languages"
NO_SWAP = "{model} does not translate the other way."
SHOWN_COLUMNS = "Columns"
COLUMNS = [("all", "all"), ("without special ones", "plain")]
HIDDEN = "Hidden on average: {mean} of the weight, at most {most} of a row."
HUB = "More models from the Hugging Face Hub"
HUB_HELP = (
    "Any translation model of the Marian (OPUS-MT) kind can be used: write owner and name. It is "
    "downloaded once, most are 300 MB, and stays here for next time."
)
HUB_ID = "Model of the Hub"
HUB_LOAD = "Load this model"
HUB_CANCEL = "Cancel"
HUB_LISTED = "Those in the model list have their cards there:"
HUB_CLOSED = "Here only the listed models of the Hub can be used."
HUB_ASKING = "Asking the Hub about {name}…"
FETCHING = "Downloading {name}: {percent} of {total} MB."
FETCHED = "{name} is ready."
REMOTE_MODEL = "{directions}; from the Hugging Face Hub, downloaded when it is first used"
INTERFACE_LANGUAGE = "Interface language"

NO_RESULTS = (
    "Nothing has been measured yet. python -m seq2seq measure writes the files that this tab shows."
)
SCORES_CAPTION = (
    "Every model on every test file, detokenised, by sacrebleu; speed in batches on the machine "
    "that measured"
)
LENGTHS_TITLE = "BLEU by length of the source, {direction}"
HELP_LENGTHS = (
    "A model without attention has to keep the whole sentence in one vector: the longer the "
    "sentence, the more is lost. Attention looks the words up instead. Sentences of more than "
    "about 15 words are mostly news, which is harder for every model. Points of fewer than 20 "
    "sentences are left out."
)
ALIGNMENTS_TITLE = "How well attention aligns words"
HELP_ALIGNMENTS = (
    "The model is made to write human translations whose word alignment people have marked, and "
    "each word is linked to the source word that it looked at most. The share of wrong and missing "
    "links is the alignment error rate: lower, here in a stronger colour, is better. It says "
    "whether attention follows the words, not whether the translation is good."
)
ALIGNMENT_NOTE = (
    "{model}, {direction}: {rate} at best, {sentences} sentences; {relative} if a source word that "
    "every word looks at counts for less"
)

_SPECIAL = {"<s>": "start of the sentence", "</s>": "end of the sentence"}


def language_name(code: str) -> str:
    """``"French"`` for ``"fr"``; a code without a name stays as it is."""
    return languages.language_name(code)


def token_name(text: str) -> str:
    """What a special token means; any other text stays as it is."""
    return _SPECIAL.get(text, text)


def direction_name(source: str, target: str) -> str:
    """``"French → English"``."""
    return f"{language_name(source)} → {language_name(target)}"
