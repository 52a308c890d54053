# cython: language_level=3
# Not freethreading_compatible: the GIL protects the check that no other thread uses a trainer.
"""The trainer in C (``train/core``): the one binding of ``textgen_train.h``, which needs no numpy.

The trainer checks values; this module passes them on and raises its errors as exceptions. What computes runs
without the GIL.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AsString
from cpython.bytes cimport PyBytes_AsString, PyBytes_AsStringAndSize, PyBytes_FromStringAndSize
from cpython.number cimport PyNumber_Index
from libc.stdint cimport INT32_MAX, INT64_MAX, UINT64_MAX, uintptr_t
from libc.string cimport memcpy, memset

from collections import namedtuple
from collections.abc import Mapping

from textgen_runtime.errors import CorpusError, ModelFileError, Name, UnknownGraphError, quote

from .errors import RecipeError, TrainingError

cdef dict EXCEPTIONS = {
    TEXTGEN_OUT_OF_MEMORY: MemoryError,
    TEXTGEN_DAMAGED_MODEL: ModelFileError,
    TEXTGEN_NEWER_FORMAT: ModelFileError,
    TEXTGEN_TOO_LARGE: UnknownGraphError,
    TEXTGEN_UNKNOWN_GRAPH: UnknownGraphError,
    TEXTGEN_DAMAGED_SAVED: TrainingError,
    TEXTGEN_OTHER_SAVED: TrainingError,
}

# Arguments that are no options. All errors of their characters name them.
cdef dict TEXTS = {"text": "the text", "held_out_text": "the held-out text"}

# The options of a run, by name. Those that are missing or None have their defaults; other names are ignored.
Values = Mapping[str, float | None]

MAX_THREADS = TEXTGEN_MAX_THREADS

# The values of the option `precision`, by name.
PRECISIONS = ("float32", "bfloat16", "auto")

# An option of a run: a line of textgen_options.def.
Option = namedtuple("Option", "name is_number default least most help")

# The data of one update: `inputs` and `targets` are int32 buffers of shape [time, lanes], with a target of -1
# where there is none; `places` is an int64 buffer of that shape: where in the training text each target is.
# `count` is the number of targets. The sum of the losses is divided by `divisor`.
Batch = namedtuple("Batch", "time lanes is_start count divisor inputs targets places")


cdef int check(int32_t code, const textgen_error *error, object of_argument=RecipeError) except -1:
    """Raise the exception of an error: of its code, or ``of_argument`` for an argument that is not valid."""
    if code >= 0:
        return 0
    kind = EXCEPTIONS.get(code, of_argument)
    message = error.message.decode("utf-8", "replace")
    if error.parameter == NULL:
        raise kind(message)
    name = error.parameter.decode()
    if name in TEXTS:
        hint = ("; add it with ", Name("extend")) if code == TEXTGEN_UNKNOWN_CHARACTER else ()
        raise CorpusError(f"{TEXTS[name]} {message}", *hint, parameter=name)
    raise kind(Name(name), f" {message}")


# ---- Options ----

cdef list OPTIONS = []
cdef list OFFSETS = []


cdef int describe() except -1:
    cdef const textgen_option_info *info
    while (info := textgen_option(len(OPTIONS))) != NULL:
        number = float if info.is_number else int
        OPTIONS.append(
            Option(
                info.name.decode(), bool(info.is_number), number(info.initial), number(info.least),
                number(info.most), info.help.decode(),
            )
        )
        OFFSETS.append(info.offset)
    return 0


describe()


cdef int64_t as_whole(object value) except? -1:
    """Return an integer. One that is out of the range of int64 is out of every range."""
    return max(-INT64_MAX, min(PyNumber_Index(value), INT64_MAX))


cdef textgen_options options_of(object values) except *:
    cdef textgen_options chosen = textgen_default_options()
    cdef char *field
    cdef size_t offset
    for option, offset in zip(OPTIONS, OFFSETS):
        value = values.get(option.name)
        field = <char *>&chosen + offset
        if value is not None and option.is_number:
            (<double *>field)[0] = value
        elif value is not None:
            (<int64_t *>field)[0] = as_whole(value)
    return chosen


def options():
    """Return every option of a run, each an ``Option``."""
    return list(OPTIONS)


def choose_preset(str preset not None, size_t common_symbols, size_t tokens, epochs):
    """Return the values of a preset for a training text and a length of the run.

    Args:
        common_symbols: As a ``Corpus`` has it.
        tokens: Number of tokens of the training text.
        epochs: How many epochs the run is expected to have, or None if that is not known.

    Raises:
        KeyError: If there is no such preset.
    """
    cdef textgen_options chosen = textgen_default_options()
    cdef const char *field
    cdef size_t offset
    if not textgen_choose_preset(preset.encode(), common_symbols, tokens, epochs or 0.0, &chosen):
        raise KeyError(preset)
    values = {}
    for option, offset in zip(OPTIONS, OFFSETS):
        field = <const char *>&chosen + offset
        # These do not belong to a preset.
        if option.name not in ("parts", "precision"):
            if option.is_number:
                values[option.name] = (<const double *>field)[0]
            else:
                values[option.name] = (<const int64_t *>field)[0]
    return values


def preset_for(size_t common_symbols, size_t tokens, double epochs):
    """Return the preset that has the lowest loss after a run of some time.

    Args:
        common_symbols: As a ``Corpus`` has it.
        tokens: Number of tokens of the training text.
        epochs: Those of such a run with the preset ``small``.
    """
    return textgen_preset_for(common_symbols, tokens, epochs).decode()


def nearest_preset(size_t layers, size_t units):
    """Return the name of the preset whose layers have the most similar number of weights."""
    return textgen_nearest_preset(layers, units).decode()


def rate_factor(values, size_t step, double progress):
    """Return the factor of the learning rates of an update, as ``Trainer.update`` has it."""
    cdef textgen_options chosen = options_of(values)
    return textgen_rate_factor(&chosen, step, progress)


# ---- Corpora ----

cdef const char *address_of(bytes text) except? NULL:
    """Return the address of a text, which the caller keeps as long as it uses it; NULL for None."""
    cdef char *address = NULL
    if text is not None:
        # Without a size, a zero byte raises ValueError: C would end the text there.
        PyBytes_AsStringAndSize(text, &address, NULL)
    return address


@cython.final
cdef class Corpus:
    """A training text and a held-out text, as tokens. It is immutable, and threads may share it.

    Args:
        text: UTF-8, or at level byte any bytes.
        name: The name of the corpus in the metadata of a model.
        level: "character", "byte" or "word".
        records: "lines" or "blank", what separates records; None for a continuous text.
        held_out: The share of the text that is held out; None for a tenth, at most a million characters.
        held_out_text: A separate text that is held out.
        unicode: The normal form that the text has, or None.
        lowercase: Whether the text is in lower case.
        vocabulary: JSON text, as in a model file, and so is ``special``. None: the characters of the texts.
        extend: Whether to add the characters of the texts that the vocabulary lacks.

    Attributes:
        vocabulary_size: Number of tokens of the vocabulary.
        common_symbols: Number of the most frequent tokens that make up 99% of the training text.
        training_tokens: Number of tokens, and so is ``held_out_tokens``, with the end of each record.
        training_characters: The end of a record counts as one, also in ``held_out_characters``.
        training_records: 0 for a continuous text, and so is ``held_out_records``.
        held_out_share: The share of the text that is held out; 0 for a separate text.
        vocabulary: JSON text, as in a model file, and so are ``special``, which may be None, and ``prompts``.
        sha256: Of the text, in hexadecimal digits.
        before: The token before the held-out text.
        training: The tokens, a read-only buffer of integers without sign, of 1, 2 or 4 bytes each.
        held_out: The same of the held-out text.

    Raises:
        CorpusError: If a text is too short, has only one character, or is not UTF-8.
        RecipeError: If another argument is not valid.
    """
    cdef readonly Py_ssize_t vocabulary_size, common_symbols, training_tokens, held_out_tokens
    cdef readonly Py_ssize_t training_characters, held_out_characters, training_records, held_out_records
    cdef readonly double held_out_share
    cdef readonly str vocabulary, special, prompts, sha256
    cdef readonly int before
    cdef textgen_corpus *corpus
    cdef textgen_corpus_content content

    def __cinit__(
        self, bytes text not None, str name not None, *, str level not None="character", str records=None,
        held_out=None, bytes held_out_text=None, str unicode=None, bint lowercase=False, str vocabulary=None,
        str special=None, bint extend=False
    ):
        cdef textgen_corpus_options chosen
        cdef textgen_error error
        cdef int32_t code
        cdef const char *start = PyBytes_AsString(text)
        cdef size_t size = len(text)
        texts = [
            None if part is None else part.encode()
            for part in (name, level, records, unicode, vocabulary, special)
        ]
        memset(&chosen, 0, sizeof(chosen))
        chosen.name, chosen.level, chosen.records = (
            address_of(texts[0]), address_of(texts[1]), address_of(texts[2])
        )
        chosen.unicode, chosen.vocabulary, chosen.special = (
            address_of(texts[3]), address_of(texts[4]), address_of(texts[5])
        )
        chosen.held_out, chosen.lowercase = 0.0 if held_out is None else held_out, lowercase
        chosen.extend = extend
        if held_out_text is not None:
            chosen.held_out_text, chosen.held_out_size = PyBytes_AsString(held_out_text), len(held_out_text)
        with nogil:
            code = textgen_corpus_create(start, size, &chosen, &self.corpus, &error)
        check(code, &error)
        info = textgen_corpus_get_info(self.corpus)
        self.vocabulary_size, self.common_symbols = info.vocabulary, info.common
        self.training_tokens, self.held_out_tokens = info.training_tokens, info.held_out_tokens
        self.training_characters, self.training_records = info.training_characters, info.training_records
        self.held_out_characters, self.held_out_records = info.held_out_characters, info.held_out_records
        self.held_out_share = info.held_out
        self.content = textgen_corpus_get_content(self.corpus)
        content = &self.content
        self.special = None if content.special == NULL else content.special.decode()
        self.vocabulary, self.prompts, self.sha256, self.before = (
            content.vocabulary.decode(), content.prompts.decode(), content.sha256.decode(), content.before
        )

    def __dealloc__(self):
        textgen_corpus_destroy(self.corpus)

    @property
    def training(self):
        return view_of_tokens(self, self.content.training, self.training_tokens)

    @property
    def held_out(self):
        return view_of_tokens(self, self.content.held_out, self.held_out_tokens)


@cython.final
cdef class Tokens:
    """The memory of a view of tokens, which keeps the corpus."""

    cdef Corpus corpus
    cdef const void *data
    cdef Py_ssize_t size

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, <void *>self.data, self.size, True, flags)


cdef object view_of_tokens(Corpus corpus, const void *data, Py_ssize_t count):
    cdef Tokens tokens = Tokens.__new__(Tokens)
    cdef int size = corpus.content.bytes
    tokens.corpus, tokens.data, tokens.size = corpus, data, count * size
    return memoryview(tokens).cast("B" if size == 1 else "H" if size == 2 else "I")


# ---- Batches ----

@cython.final
cdef class Batches:
    """The batches of a corpus, for another learner than ``Trainer``.

    Attributes:
        per_epoch: Number of batches of an epoch.

    Raises:
        RecipeError: If an option is out of range.
    """
    cdef readonly Py_ssize_t per_epoch
    cdef textgen_batches *batches
    cdef Corpus corpus

    def __cinit__(self, Corpus corpus not None, values):
        cdef textgen_options chosen = options_of(values)
        cdef textgen_error error
        self.corpus = corpus
        check(textgen_batches_create(corpus.corpus, &chosen, &self.batches, &error), &error)
        self.per_epoch = textgen_batches_get_per_epoch(self.batches)

    def __dealloc__(self):
        textgen_batches_destroy(self.batches)

    def get(self, uint64_t seed, size_t epoch, Py_ssize_t index):
        """Return a batch of an epoch, both counted from 0."""
        cdef textgen_batch_content batch
        if not 0 <= index < self.per_epoch:
            raise IndexError(f"an epoch has {self.per_epoch} batches")
        batch = textgen_batches_get_content(self.batches, seed, epoch, index)
        shape = batch.time, batch.lanes
        return Batch(
            *shape, bool(batch.is_start), batch.targets, batch.divisor,
            copy_of(<const char *>batch.inputs, sizeof(int32_t), "i", shape),
            copy_of(<const char *>batch.next, sizeof(int32_t), "i", shape),
            copy_of(<const char *>batch.places, sizeof(int64_t), "q", shape),
        )


cdef object copy_of(const char *data, size_t size, str format, tuple shape):
    return memoryview(data[: size * shape[0] * shape[1]]).cast("B").cast(format, shape)


# ---- Trainers ----

@cython.final
cdef class Trainer:
    """A run on a corpus. If one thread uses it, methods raise RuntimeError in others.

    Args:
        seed: In [0, 2**64).
        threads: At most so many threads run, in [1, 256].
        kernels: The name of an instruction set, or None for the best of this processor.

    Attributes:
        parameters: Number of weights of the model.
        memory: Bytes that the trainer has, without those of each thread.
        per_epoch: Number of updates of an epoch.
        step: Number of updates so far.
        epoch: Epochs so far.
        threads: Number of threads that run.
        precision: Of products, one of ``PRECISIONS``; if the last one is wanted, the faster of the others.
        kernels: The name of the instruction set.

    Raises:
        RecipeError: If an option, the seed or the number of threads is out of range.
        TrainingError: If the processor lacks the kernels or the precision.
        MemoryError: If there is not enough memory.
    """
    cdef readonly Py_ssize_t parameters, memory, per_epoch, step
    cdef readonly double epoch
    cdef readonly int threads
    cdef readonly str precision, kernels
    cdef textgen_trainer *trainer
    cdef Corpus corpus
    cdef Py_buffer shares, tokens
    # Whether a thread uses the trainer without the GIL.
    cdef bint is_busy

    def __cinit__(self, Corpus corpus not None, values, seed, threads, str kernels=None):
        cdef textgen_options chosen = options_of(values)
        cdef textgen_error error
        cdef bytes name = None if kernels is None else kernels.encode()
        cdef const char *address = address_of(name)
        cdef int32_t code, count = <int32_t>max(0, min(as_whole(threads), INT32_MAX))
        cdef uint64_t number
        seed = PyNumber_Index(seed)
        if not 0 <= seed <= UINT64_MAX:
            raise RecipeError(Name("seed"), f" must be from 0 to 2**64 - 1, not {quote(seed)}")
        self.corpus, number = corpus, seed
        with nogil:
            code = textgen_trainer_create(
                corpus.corpus, &chosen, number, count, address, &self.trainer, &error
            )
        # The processor lacks these.
        lacks = code == TEXTGEN_INVALID_ARGUMENT and error.parameter in (b"kernels", b"precision")
        check(code, &error, TrainingError if lacks else RecipeError)
        info = textgen_trainer_get_info(self.trainer)
        self.parameters, self.memory, self.per_epoch = info.parameters, info.memory, info.per_epoch
        self.threads, self.kernels = info.threads, info.kernels.decode()
        self.precision = PRECISIONS[info.precision]

    def __dealloc__(self):
        textgen_trainer_destroy(self.trainer)
        PyBuffer_Release(&self.shares)
        PyBuffer_Release(&self.tokens)

    cdef int check_idle(self) except -1:
        if self.is_busy:
            raise RuntimeError("another thread uses this trainer")
        return 0

    cdef int begin(self) except -1:
        """Let no other thread use the trainer until ``end``."""
        self.check_idle()
        self.is_busy = True
        return 0

    cdef void end(self) noexcept:
        cdef textgen_trainer_info info = textgen_trainer_get_info(self.trainer)
        self.step, self.epoch, self.is_busy = info.step, info.epoch, False

    def regularize(self, values):
        """Change the dropouts and the penalties. Other options are ignored."""
        cdef textgen_options chosen = options_of(values)
        cdef textgen_error error
        self.check_idle()
        check(textgen_trainer_regularize(self.trainer, &chosen, &error), &error)

    def update(self, double progress):
        """Make an update. progress: the share of the budget that is used, in [0, 1].

        Returns:
            The mean loss of a token in nats, before the update; NaN if the gradient was not finite, and the
            weights did not change.
        """
        cdef double nats
        self.begin()
        with nogil:
            nats = textgen_trainer_update(self.trainer, progress)
        self.end()
        return nats

    def score(self):
        """Return the loss of the held-out text in nats per character, NaN if training has diverged."""
        cdef double nats
        self.begin()
        with nogil:
            nats = textgen_trainer_score(self.trainer)
        self.end()
        return nats

    def score_start(self, size_t tokens):
        """Return the mean loss of the first tokens of the held-out text, in nats per token.

        Of records, these are the first complete ones that have at least so many tokens.
        """
        cdef double nats
        self.begin()
        with nogil:
            nats = textgen_trainer_score_start(self.trainer, tokens)
        self.end()
        return nats

    def model(self, str training not None):
        """Return the model file. training: what its metadata says of the training, a JSON object."""
        cdef bytes description = training.encode(), file
        cdef const char *text = address_of(description)
        cdef unsigned char *target
        file = PyBytes_FromStringAndSize(NULL, textgen_trainer_write_model(self.trainer, 0.0, text, NULL))
        target = <unsigned char *>PyBytes_AsString(file)
        self.begin()
        with nogil:
            textgen_trainer_write_model(self.trainer, 0.0, text, target)
        self.end()
        return file

    def start_from(self, bytes file not None):
        """Start from the weights of a model file. Call it before the first update.

        Raises:
            ModelFileError: If the file is damaged.
            TrainingError: If its network or its vocabulary does not fit.
        """
        cdef textgen_error error
        cdef const char *start = PyBytes_AsString(file)
        cdef size_t size = len(file)
        cdef int32_t code
        self.begin()
        with nogil:
            code = textgen_trainer_start_from(self.trainer, start, size, &error)
        self.end()
        check(code, &error, TrainingError)

    def teach(self, shares, tokens, size_t columns, double weight):
        """Also learn from predictions, which have ``weight`` of the distribution of each target.

        Args:
            shares: A uint16 buffer of shape [training tokens, columns], in units of 1 / 65535. Neither this
                buffer nor the next one is copied.
            tokens: Those of the shares, a buffer of the same shape, of the type of those of the corpus; or
                None if there are as many columns as symbols.

        Raises:
            ValueError: If a buffer has another size.
            RecipeError: If ``columns`` or ``weight`` is out of range.
        """
        cdef textgen_error error
        cdef Py_buffer new_shares, new_tokens
        cdef object rows = <object>columns * self.corpus.training_tokens
        self.check_idle()
        memset(&new_tokens, 0, sizeof(new_tokens))
        PyObject_GetBuffer(shares, &new_shares, PyBUF_SIMPLE)
        try:
            if tokens is not None:
                PyObject_GetBuffer(tokens, &new_tokens, PyBUF_SIMPLE)
            if new_shares.len != rows * sizeof(uint16_t) or <uintptr_t>new_shares.buf % sizeof(uint16_t):
                raise ValueError(f"shares must be {rows} numbers, uint16")
            if tokens is not None and (
                new_tokens.len != rows * self.corpus.content.bytes
                or <uintptr_t>new_tokens.buf % self.corpus.content.bytes
            ):
                raise ValueError(f"tokens must be {rows} numbers, of the type of those of the corpus")
            check(
                textgen_trainer_teach(
                    self.trainer, <const uint16_t *>new_shares.buf, new_tokens.buf, columns, weight, &error
                ),
                &error,
            )
            # Those that the trainer does not use any more are released below.
            self.shares, new_shares = new_shares, self.shares
            self.tokens, new_tokens = new_tokens, self.tokens
        finally:
            PyBuffer_Release(&new_shares)
            PyBuffer_Release(&new_tokens)

    def save(self):
        """Return the run, all that it needs to go on exactly."""
        cdef size_t size
        cdef const void *run
        cdef bytes data
        cdef char *target
        run = textgen_trainer_save(self.trainer, &size)
        data = PyBytes_FromStringAndSize(NULL, size)
        target = PyBytes_AsString(data)
        self.begin()
        with nogil:
            memcpy(target, run, size)
        self.end()
        return data

    def resume(self, data):
        """Replace the run by a saved one of the same corpus and options.

        Raises:
            TrainingError: If the data is damaged, or of another run.
        """
        cdef textgen_error error
        # The memory of a bytearray is aligned.
        cdef bytearray copy = bytearray(data)
        cdef char *start = PyByteArray_AsString(copy)
        cdef size_t size = len(copy)
        cdef int32_t code
        self.begin()
        with nogil:
            code = textgen_trainer_resume(self.trainer, start, size, &error)
        self.end()
        check(code, &error)


def quantize(bytes file not None, more=None):
    """Return a model file with 8-bit weights. more: metadata to add, JSON texts by key.

    Raises:
        ModelFileError: If the file is damaged, or has 8-bit weights already.
    """
    cdef textgen_error error
    cdef const char *start = PyBytes_AsString(file)
    cdef size_t file_size = len(file), size = 0, i
    texts = [text.encode() for entry in (more or {}).items() for text in entry]
    # The last address stays NULL.
    cdef bytearray addresses = bytearray((len(texts) + 1) * sizeof(char *))
    cdef const char **pairs = <const char **>PyByteArray_AsString(addresses)
    cdef unsigned char *target = NULL
    cdef int32_t code
    cdef bytes converted = None
    for i in range(<size_t>len(texts)):
        pairs[i] = address_of(texts[i])
    for _ in range(2):
        with nogil:
            code = textgen_quantize(start, file_size, pairs, target, &size, &error)
        check(code, &error, ModelFileError)
        if converted is None:
            converted = PyBytes_FromStringAndSize(NULL, size)
            target = <unsigned char *>PyBytes_AsString(converted)
    return converted
