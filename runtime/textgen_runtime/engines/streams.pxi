"""Running texts: the blocks of the C core (``runtime/core/text.h``) as Python objects."""

from array import array

cimport cython
from cpython.bytearray cimport PyByteArray_AsString, PyByteArray_FromStringAndSize
from cpython.number cimport PyNumber_Index
from libc.math cimport INFINITY
from libc.stdint cimport INT32_MAX, INT64_MAX, int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from .c_core cimport (
    TEXTGEN_CONTINUES,
    TEXTGEN_MASKED_END,
    TEXTGEN_MAX_HELD,
    textgen_guide,
    textgen_lane_begin,
    textgen_lane_call,
    textgen_lane_draw,
    textgen_lane_ending,
    textgen_lane_entropy,
    textgen_lane_finish,
    textgen_saved,
    textgen_saved_is_possible,
    textgen_saved_open,
    textgen_saved_read,
    textgen_saved_size,
    textgen_saved_write,
    textgen_shape,
    textgen_text,
    textgen_text_begin_constraint,
    textgen_text_configure,
    textgen_text_feed,
    textgen_text_find,
    textgen_text_init,
    textgen_text_is_complete,
    textgen_text_needed,
    textgen_text_parts,
    textgen_text_probabilities,
    textgen_text_seed,
    textgen_text_size,
    textgen_text_used,
)
from textgen_runtime.model_file.reader cimport ERROR_SIZE, TEXTGEN_OK, textgen_error, textgen_view
from textgen_runtime.sampling.tables cimport (
    TEXTGEN_SHA256_SIZE,
    Constraint,
    Spans,
    Stops,
    address_of,
)
from textgen_runtime.sampling.c_sampler cimport (
    TEXTGEN_NO_TOKEN,
    textgen_code_text,
    textgen_filters_bias,
    textgen_find_exp64,
    textgen_parameters,
    textgen_rng_seek,
    textgen_sampler_scratch,
    textgen_uint128,
)
from textgen_runtime.sampling.definition cimport read_parameters, write_parameters
from textgen_runtime.sampling.sampler cimport (
    FloatArray,
    RealBuffer,
    array_at,
    copy_buffer,
    new_memory,
    split_seed,
)

from textgen_runtime.errors import Name, PromptError, SamplingError, SavedGenerationError, quote
from textgen_runtime.sampling.parameters import check_type

from .results import Generated, State

# Tokens of a lane in one call. Memory for all of them is allocated before the first one is drawn: 256 KiB
# with their log-probabilities. They take milliseconds, and the overhead of a call takes microseconds.
MAX_STEPS = 2**14

# By the number of the C core. A saved text has one of them, or none.
cdef tuple ENDINGS = (None, "length", "stop", "constraint", "mismatch", "end", "masked")


cdef class Stream


@cython.final
cdef class Shape:
    """What running texts must know of a network. Immutable.

    Args:
        state: Rows and units of each state array by name, in the order of the network.
        vocabulary_size: The number of logits.
        special: The special tokens.
        is_bytes: Whether tokens are bytes, of which several make a character.

    Raises:
        ValueError: If the vocabulary size is out of range, or if a special token is not in the vocabulary.
        MemoryError: If the state is too large.
    """

    cdef textgen_shape core
    cdef StateLayout layout

    def __cinit__(self, dict state not None, Py_ssize_t vocabulary_size, special, bint is_bytes):
        if not 1 <= vocabulary_size <= INT32_MAX:
            raise ValueError(f"vocabulary_size must be from 1 to {INT32_MAX}, not {vocabulary_size}")
        special = checked_special(special, vocabulary_size)
        self.layout = StateLayout(state)
        self.core.vocabulary = vocabulary_size
        self.core.state_values = self.layout.size(1)
        self.core.special = special_tokens(special)
        self.core.is_bytes = is_bytes
        self.core.exp64 = textgen_find_exp64(NULL)

    cdef bint equals(self, Shape other) noexcept:
        """Return whether the texts of both have the same blocks."""
        return self is other or (
            self.core.vocabulary == other.core.vocabulary
            and self.core.is_bytes == other.core.is_bytes
            and self.core.special.unknown == other.core.special.unknown
            and self.core.special.begin == other.core.special.begin
            and self.core.special.end == other.core.special.end
            and self.layout.equals(other.layout)
        )

    cdef Stream checked(self, object stream):
        """Return a text of this shape that no thread uses."""
        if not isinstance(stream, Stream):
            raise TypeError(f"the text must be a Stream, not {type(stream).__name__}")
        if not self.equals((<Stream>stream).shape):
            raise ValueError("the text is of another model")
        (<Stream>stream).enter()
        return stream

    cdef object checked_tokens(self, object tokens):
        cdef const int64_t *numbers
        cdef Py_ssize_t vocabulary = self.core.vocabulary, i
        try:
            values = array("q", tokens)
        except OverflowError:
            values = array("q", [-1])
        numbers = <const int64_t *>address_of(values)
        for i in range(len(values)):
            if not 0 <= numbers[i] < vocabulary:
                raise ValueError(f"each token must be in [0, {vocabulary})")
        return values

    def check_feed(self, stream, tokens):
        """Check the arguments of ``Engine.feed``.

        Returns:
            The tokens, as an array of int64.

        Raises:
            ValueError: If the text is of another model, if there is no token, or if one is not in the
                vocabulary.
            TypeError: If an argument is of the wrong type.
        """
        values = self.checked_tokens(tokens)
        self.checked(stream)
        if not len(values):
            raise ValueError("tokens must not be empty")
        return values


@cython.final
cdef class Stream:
    """One running text: all that changes while it grows, and the tables that it follows.

    It has not been fed. It is not thread-safe. The methods that change it raise RuntimeError while an engine
    runs it, as far as the GIL allows.

    Args:
        shape: The shape of the network.
        seed: An int from 0 to 2**128 - 1.
        substream: An int from 0 to 2**32 - 1.

    Attributes:
        stops: The ``Stops``, or None.
        constraint: The ``Constraint``, or None.
        spans: The ``Spans``, or None.
    """

    cdef readonly Shape shape
    cdef readonly Stops stops
    cdef readonly Constraint constraint
    cdef readonly Spans spans
    cdef bint keep_stop
    # The block, which may have readers of its logits.
    cdef bytearray memory
    cdef textgen_text *text
    cdef bint busy

    def __cinit__(self, Shape shape not None, seed=0, substream=0):
        cdef textgen_uint128 number
        split_seed(seed, substream, &number)
        self.allocate(shape)
        textgen_text_init(&shape.core, self.text, number, <uint32_t>substream)

    cdef int allocate(self, Shape shape) except -1:
        self.shape = shape
        self.memory = new_memory(textgen_text_size(&shape.core))
        self.text = <textgen_text *>PyByteArray_AsString(self.memory)
        return 0

    cdef int enter(self) except -1:
        if self.busy:
            raise RuntimeError("another thread uses this text: lock it, or give each thread a copy")
        return 0

    cdef textgen_text_parts parts(self) noexcept:
        return textgen_text_find(&self.shape.core, self.text)

    cdef textgen_guide guide(self) noexcept:
        cdef textgen_guide guide
        guide.stops = NULL if self.stops is None else self.stops.core
        guide.constraint = NULL if self.constraint is None else &self.constraint.core
        guide.spans = NULL if self.spans is None else &self.spans.core
        return guide

    def copy(self):
        """Return an independent copy."""
        cdef Stream clone = Stream.__new__(Stream, self.shape)
        self.enter()
        memcpy(clone.text, self.text, textgen_text_used(&self.shape.core, self.text))
        clone.stops, clone.constraint, clone.spans = self.stops, self.constraint, self.spans
        clone.keep_stop = self.keep_stop
        return clone

    @property
    def seed(self):
        """The seed of the random numbers."""
        return <object>self.text.rng.seed.high << 64 | self.text.rng.seed.low

    @property
    def substream(self):
        """The substream of the seed."""
        return self.text.rng.substream

    @property
    def drawn(self):
        """The number of random numbers drawn so far."""
        return self.text.rng.position

    def reseed(self, seed, substream=0, drawn=0):
        """Draw other random numbers from now on. Raises SamplingError if an argument is out of range."""
        cdef textgen_uint128 number
        split_seed(seed, substream, &number)
        drawn = PyNumber_Index(drawn)
        if not 0 <= drawn <= INT64_MAX:
            raise SamplingError(Name("drawn"), f" must be from 0 to 2**63 - 1, not {quote(drawn)}")
        self.enter()
        textgen_text_seed(self.text, number, <uint32_t>substream, drawn)

    def configure(self, sampling, logit_bias=(), stops=None, constraint=None, spans=None):
        """Change the parameters. The filters keep their state.

        Other stop texts begin with the text that is held back: if one is in it, the next call that generates
        ends the text there, and the tokens after it are dropped. Another constraint and another
        ``min_length`` begin with the next token. After an error, the parameters are as they were.

        Args:
            sampling: A ``Sampling``, whose numbers and ``keep_stop`` are used.
            logit_bias: Pairs of a token and a number.
            stops: A ``Stops``, or None.
            constraint: A ``Constraint``, or None.
            spans: ``Spans``, or None.

        Raises:
            ValueError: If an argument does not fit the vocabulary.
            TypeError: If an argument is of the wrong type.
        """
        cdef textgen_parameters parameters
        cdef Stops new_stops = stops
        cdef Constraint new_constraint = constraint
        cdef Spans new_spans = spans
        cdef size_t vocabulary = self.shape.core.vocabulary
        cdef list pairs = list(logit_bias)
        cdef object tokens = self.shape.checked_tokens([token for token, _ in pairs])
        cdef object numbers = array("d", [bias for _, bias in pairs])
        cdef const int64_t *biased = <const int64_t *>address_of(tokens)
        cdef const double *added = <const double *>address_of(numbers)
        cdef double *biases
        cdef Py_ssize_t i
        check_type(sampling)
        read_parameters(sampling, &parameters)
        if new_stops is not None and <size_t>new_stops.vocabulary_size != vocabulary:
            raise ValueError(f"the stop texts must be of {vocabulary} tokens, not {stops.vocabulary_size}")
        if new_constraint is not None and new_constraint.core.vocabulary != vocabulary:
            size = constraint.vocabulary_size
            raise ValueError(f"the constraint must be of {vocabulary} tokens, not {size}")
        if new_spans is not None and new_spans.core.vocabulary != vocabulary:
            raise ValueError(f"the spans must be of {vocabulary} tokens, not {spans.vocabulary_size}")
        self.enter()
        textgen_text_configure(&self.shape.core, self.text, &parameters, len(numbers) > 0)
        biases = textgen_filters_bias(self.parts().filters)
        for i in range(len(numbers)):
            biases[biased[i]] = added[i]
        if new_constraint != self.constraint:
            self.begin_constraint()
        self.stops, self.constraint, self.spans = new_stops, new_constraint, new_spans
        self.keep_stop = sampling.keep_stop

    @property
    def parameters(self):
        """The sampling parameters that are numbers, by name."""
        return write_parameters(&self.text.parameters)

    @property
    def has_logit_bias(self):
        """Whether there is a logit bias."""
        cdef const double *biases = textgen_filters_bias(self.parts().filters)
        cdef size_t i
        for i in range(self.shape.core.vocabulary if self.text.filtered else 0):
            if biases[i] != 0.0:
                return True
        return False

    @property
    def has_spans(self):
        """Whether the text was drawn with spans, so that it keeps its latest tokens."""
        return self.text.recent > 0

    def begin_constraint(self):
        """Let the next token begin another text of the constraint."""
        self.enter()
        textgen_text_begin_constraint(self.text)

    def begin(self, bint restart):
        """Note that text is fed, which ends what was held back. restart: whether from the initial state."""
        self.enter()
        textgen_text_feed(&self.shape.core, self.text, restart)

    def continue_from(self, Stream other not None):
        """Begin a text after the tokens of another one, with its own parameters and random numbers."""
        cdef size_t values = self.shape.core.state_values + self.shape.core.vocabulary
        self.shape.checked(other).check_fed()
        self.begin(False)
        memcpy(self.parts().state, other.parts().state, values * sizeof(float))

    cdef int check_fed(self) except -1:
        if not self.text.is_fed:
            raise PromptError("there is no text to continue: feed a text first")
        return 0

    @property
    def ending(self):
        """Why the latest text ended, or None."""
        return ENDINGS[self.text.ending]

    @property
    def at_end(self):
        """Whether the last token is the end of a record."""
        return bool(self.text.at_end)

    @property
    def is_complete(self):
        """Whether no token may follow until something is fed."""
        return bool(textgen_text_is_complete(self.text))

    @property
    def tokens_to_match(self):
        """The number of tokens that the text needs to match its constraint; 0 without a constraint."""
        return textgen_text_needed(self.text, self.guide().constraint)

    def mark_masked(self):
        """Note that the text that has ended met its constraint only with the mask."""
        self.enter()
        self.text.ending = TEXTGEN_MASKED_END

    @property
    def held(self):
        """The tokens that are held back, as a list."""
        cdef int32_t *held = self.parts().held
        cdef Py_ssize_t i
        return [held[i] for i in range(self.text.held)]

    def finish(self):
        """Return the tokens that are held back, and hold nothing back."""
        self.enter()
        tokens = self.held
        self.text.held = 0
        return tokens

    def hold(self, tokens):
        """Hold tokens back. Nothing else is held back.

        Raises:
            ValueError: If there are more than 1024 tokens, or if one is not in the vocabulary.
            TypeError: If a token is not an integer.
        """
        cdef object values = self.shape.checked_tokens(tokens)
        cdef const int64_t *numbers = <const int64_t *>address_of(values)
        cdef int32_t *held = self.parts().held
        cdef Py_ssize_t i
        if len(values) > TEXTGEN_MAX_HELD:
            raise ValueError(f"a text can hold back {TEXTGEN_MAX_HELD} tokens, not {len(values)}")
        self.enter()
        for i in range(len(values)):
            held[i] = <int32_t>numbers[i]
        self.text.held = len(values)

    @property
    def state(self):
        """The recurrent state, a ``State`` of copies. It can be set to a ``State``."""
        cdef StateLayout layout = self.shape.layout
        cdef bytearray memory = PyByteArray_FromStringAndSize(
            <char *>self.parts().state, layout.lane_size * sizeof(float)
        )
        return layout.state_in(memory, 1)

    @state.setter
    def state(self, value):
        self.enter()
        self.write_state(value)

    cdef int write_state(self, object value) except -1:
        cdef Py_ssize_t start = <char *>self.parts().state - <char *>self.text
        self.shape.layout.copy_state(value, 1, self.memory, start // <Py_ssize_t>sizeof(float))
        return 0

    @property
    def logits(self):
        """The logits of the next token, an array of shape [vocabulary] that shares the memory of the text."""
        cdef Py_ssize_t start = <char *>self.parts().logits - <char *>self.text
        return array_at(self.memory, start // <Py_ssize_t>sizeof(float), 1, self.shape.core.vocabulary, 1, 1)

    @logits.setter
    def logits(self, value):
        self.enter()
        self.write_logits(value)

    cdef int write_logits(self, object value) except -1:
        copy_buffer(value, self.logits, "the logits")
        self.text.is_fed = True
        return 0

    def probabilities(self, bint of_draw):
        """Return the probabilities of the next token, as float64 in a bytearray.

        Args:
            of_draw: Whether they are those of the next draw: with the constraint, ``min_length``,
                ``max_copy``, the filters and the temperature.

        Raises:
            SamplingError: If the logits are invalid, or if no token is left to draw.
            PromptError: If the text has not been fed.
        """
        cdef size_t count = self.shape.core.vocabulary
        cdef bytearray memory = new_memory(count * sizeof(double))
        cdef bytearray scratch = new_memory(
            textgen_sampler_scratch(count) * sizeof(double) + count * sizeof(float)
        )
        cdef double *temporary = <double *>PyByteArray_AsString(scratch)
        cdef textgen_guide guide
        cdef int64_t code
        self.enter()
        self.check_fed()
        guide = self.guide()
        code = textgen_text_probabilities(
            &self.shape.core,
            self.text,
            guide,
            of_draw,
            <double *>PyByteArray_AsString(memory),
            <float *>(temporary + textgen_sampler_scratch(count)),
            temporary,
        )
        if code < 0:
            raise draw_error(code, &guide)
        return memory

    cdef bytes constraint_digest(self):
        """Return the hash of the constraint in a saved text."""
        if self.constraint is None:
            return bytes(TEXTGEN_SHA256_SIZE)
        return bytes.fromhex(self.constraint.digest)

    def save(self, bytes model not None, bytes description not None):
        """Return the saved text: see ``runtime/core/saved.h``.

        Args:
            model: The SHA-256 of the model file, 32 bytes.
            description: JSON with what belongs to the text besides.
        """
        cdef textgen_saved saved
        cdef bytearray data
        cdef bytes digest = self.constraint_digest()
        if len(model) != TEXTGEN_SHA256_SIZE:
            raise ValueError(f"the hash of a model has {TEXTGEN_SHA256_SIZE} bytes, not {len(model)}")
        self.enter()
        if not textgen_saved_is_possible(&self.shape.core, self.text):
            raise SavedGenerationError(
                "the text cannot be saved: its state or its logits contain NaN or +inf, or no logit is finite"
            )
        memcpy(saved.model, <const char *>model, TEXTGEN_SHA256_SIZE)
        memcpy(saved.constraint, <const char *>digest, TEXTGEN_SHA256_SIZE)
        saved.description.data, saved.description.size = <const unsigned char *>description, len(description)
        # The block is aligned in memory of its own.
        data = new_memory(textgen_saved_size(&self.shape.core, self.text, len(description)))
        textgen_saved_write(&self.shape.core, self.text, &saved, PyByteArray_AsString(data))
        return bytes(data)

    def resume(self, bytes data not None):
        """Continue a saved text, with the tables of this one. After an error, this text is as it was.

        Raises:
            SavedGenerationError: If the data is damaged, or has another constraint.
        """
        cdef textgen_saved saved
        cdef textgen_error error
        cdef char message[ERROR_SIZE]
        cdef Stream read = Stream.__new__(Stream, self.shape)
        open_saved(data, &saved)
        if saved.constraint[:TEXTGEN_SHA256_SIZE] != self.constraint_digest():
            raise SavedGenerationError(
                "the text has a constraint that was not saved with it: continue it where it was saved"
                if self.constraint is None
                else "another version of textgen-onnx compiled the constraint, and its position has another "
                "meaning: start a new generation"
            )
        error.text, error.size = message, ERROR_SIZE
        if textgen_saved_read(
            &self.shape.core, &saved, self.guide().constraint, read.text, &error
        ) != TEXTGEN_OK:
            raise SavedGenerationError(message.decode())
        self.enter()
        memcpy(self.text, read.text, textgen_text_used(&self.shape.core, read.text))


cdef int open_saved(bytes data, textgen_saved *saved) except -1:
    cdef textgen_error error
    cdef char message[ERROR_SIZE]
    cdef textgen_view view
    error.text, error.size = message, ERROR_SIZE
    view.data, view.size = <const unsigned char *>data, len(data)
    if textgen_saved_open(view, saved, &error) != TEXTGEN_OK:
        raise SavedGenerationError(message.decode())
    return 0


def read_saved(bytes data not None):
    """Return the SHA-256 of the model of a saved text, and its description, as bytes.

    Raises:
        SavedGenerationError: If the data is no saved text, or of a later version.
    """
    cdef textgen_saved saved
    open_saved(data, &saved)
    description = (<const char *>saved.description.data)[:saved.description.size]
    return saved.model[:TEXTGEN_SHA256_SIZE], description


# No lane refers to itself, so that __dealloc__ may use the list of texts.
@cython.final
@cython.no_gc
cdef class Lanes:
    """The lanes of one call of ``Engine.generate``, which have their texts for themselves until ``release``.

    Args:
        lanes: A sequence of ``Lane``, each with another text of the same shape.
        steps: The maximum number of tokens per lane, from 0 to ``MAX_STEPS``.
        shape: The shape of the engine.

    Raises:
        ValueError: If there is no lane, if a length or ``steps`` is wrong, if two lanes share a text, or if a
            text is of another model.
        PromptError: If a text has not been fed.
        SamplingError: If a constraint needs more tokens than the length of its lane.
        TypeError: If a text or a length is of the wrong type.
    """

    cdef Shape shape
    cdef int64_t steps
    cdef Py_ssize_t count
    cdef textgen_lane_call *items
    cdef bint is_open
    cdef list texts
    # The memory of `items`, and of what they point to.
    cdef list buffers

    def __cinit__(self, lanes, int64_t steps, Shape shape not None):
        cdef Py_ssize_t i
        self.shape, self.steps, self.texts, self.buffers = shape, steps, [], []
        lanes = list(lanes)
        self.count = len(lanes)
        if not 0 <= steps <= MAX_STEPS:
            raise ValueError(f"steps must be from 0 to {MAX_STEPS}, not {steps}")
        if not lanes:
            raise ValueError("lanes must not be empty")
        self.items = <textgen_lane_call *>self.buffer(self.count * sizeof(textgen_lane_call))
        memset(self.items, 0, self.count * sizeof(textgen_lane_call))
        self.is_open = True
        try:
            for i in range(self.count):
                self.add(&self.items[i], lanes[i])
        except BaseException:
            self.close()
            raise

    def __dealloc__(self):
        # An interrupt can come before the caller could release the lanes.
        self.close()

    def __len__(self):
        return self.count

    cdef int add(self, textgen_lane_call *item, object lane) except -1:
        cdef Stream text
        cdef bint must_end, masked, logprobs
        cdef int64_t most
        given, length, must_end, masked, logprobs = lane
        length = PyNumber_Index(length)
        if length < 1:
            raise ValueError(f"the length of a lane must be 1 or more, not {length}")
        item.length = min(length, INT64_MAX)
        item.must_end, item.masked = must_end, masked
        most = self.most_tokens(item)
        item.tokens = <int64_t *>self.buffer((TEXTGEN_MAX_HELD + <object>most) * sizeof(int64_t))
        if logprobs:
            item.logprobs = <double *>self.buffer(<object>most * sizeof(double))
        # No code of another object runs between these checks and the mark that the text is in use.
        if any([given is other for other in self.texts]):
            raise ValueError("each lane must have its own text")
        text = self.shape.checked(given)
        text.check_fed()
        if must_end and text.tokens_to_match > length:
            raise SamplingError(
                f"the text needs {text.tokens_to_match} or more tokens to match, but may have only {length}: "
                "increase the length"
            )
        item.text, item.guide, item.keep_stop = text.text, text.guide(), text.keep_stop
        text.busy = True
        self.texts.append(text)
        return 0

    cdef int64_t most_tokens(self, const textgen_lane_call *item) noexcept:
        """Return the largest number of tokens that a lane generates."""
        return min(item.length, self.steps)

    cdef char *buffer(self, object size) except NULL:
        cdef bytearray memory = new_memory(size)
        self.buffers.append(memory)
        return PyByteArray_AsString(memory)

    def release(self):
        """Let others use the texts again. No lane can be continued then."""
        self.close()

    cdef void close(self) noexcept:
        self.is_open = False
        for text in self.texts or ():
            (<Stream>text).busy = False
        self.texts = []

    def results(self):
        """Return the list of ``Generated``."""
        return [self.result(&self.items[i]) for i in range(self.count)]

    cdef object result(self, const textgen_lane_call *item):
        cdef int64_t count = item.held + item.generated, i
        error = draw_error(item.ending, &item.guide) if item.ending < 0 else None
        ending = None if item.ending < 0 else ENDINGS[item.ending]
        tokens = [item.tokens[i] for i in range(item.decided)]
        stop = [item.tokens[i] for i in range(count - item.stop_length, count)]
        logprobs = None
        if item.logprobs != NULL:
            logprobs = [item.logprobs[i] for i in range(item.generated)]
        return new_tuple(Generated, (item.generated, tokens, ending, logprobs, stop, error))


cdef object draw_error(int64_t code, const textgen_guide *guide):
    """Return the error of a draw. It names ``max_copy`` if that leaves no token."""
    if code == TEXTGEN_NO_TOKEN and guide.spans != NULL:
        return SamplingError(Name("max_copy"), " leaves no token to draw: use a greater value")
    return SamplingError(textgen_code_text(<int32_t>code).decode())


# The constructors of State and Generated are Python code. Calls of them would take most of the time of a
# lane.
cdef object new_object = object.__new__
cdef object new_tuple = tuple.__new__


@cython.final
cdef class LaneDraws:
    """The draws of one lane, for an engine whose loop is Python code.

    Args:
        lanes: The ``Lanes``.
        index: The number of the lane.
    """

    cdef Lanes lanes
    cdef textgen_lane_call *item
    cdef readonly Stream stream
    cdef double *scratch
    cdef float *masked
    cdef bytearray temporary

    def __cinit__(self, Lanes lanes not None, Py_ssize_t index):
        cdef size_t count = lanes.shape.core.vocabulary
        if not 0 <= index < len(lanes.texts):
            raise IndexError(f"there are {len(lanes.texts)} open lanes")
        self.stream = lanes.texts[index]
        self.lanes, self.item = lanes, &lanes.items[index]
        self.temporary = new_memory(textgen_sampler_scratch(count) * sizeof(double) + count * sizeof(float))
        self.scratch = <double *>PyByteArray_AsString(self.temporary)
        self.masked = <float *>(self.scratch + textgen_sampler_scratch(count))
        textgen_lane_begin(&lanes.shape.core, self.item)

    @property
    def is_running(self):
        """Whether another token can be drawn."""
        return bool(
            self.lanes.is_open
            and self.item.ending == TEXTGEN_CONTINUES
            and self.item.generated < self.lanes.most_tokens(self.item)
        )

    cdef const float *checked_logits(self, RealBuffer logits) except NULL:
        if not self.is_running:
            raise RuntimeError("the lane has ended")
        if not logits.is_float32 or <size_t>logits.size != self.lanes.shape.core.vocabulary:
            raise ValueError("the logits must be float32 of the size of the vocabulary")
        return <const float *>logits.buffer.buf

    def draw(self, logits):
        """Draw a token from logits that are -inf at tokens that are never drawn.

        Returns:
            The token, or -1 if the lane ends before it.

        Raises:
            RuntimeError: If the lane has ended.
            ValueError: If the logits are not float32 of shape [vocabulary].
        """
        cdef RealBuffer row = RealBuffer(logits, 1, "logits")
        cdef const float *values = self.checked_logits(row)
        return textgen_lane_draw(&self.lanes.shape.core, self.item, values, self.masked, self.scratch)

    def entropy(self, logits):
        """Return the entropy in bits of the distribution of the next draw. Arguments: see ``draw``."""
        cdef RealBuffer row = RealBuffer(logits, 1, "logits")
        cdef const float *values = self.checked_logits(row)
        return textgen_lane_entropy(&self.lanes.shape.core, self.item, values, self.masked, self.scratch)

    def advance(self):
        """End the lane if it ends after its last token."""
        if self.lanes.is_open:
            self.item.ending = textgen_lane_ending(&self.lanes.shape.core, self.item)

    def finish(self, logits, state):
        """Move the text to the end of its tokens.

        Args:
            logits: The logits of the next token.
            state: The ``State`` after the last token.
        """
        if not self.lanes.is_open:
            raise RuntimeError("the lane has ended")
        self.stream.write_logits(logits)
        self.stream.write_state(state)
        textgen_lane_finish(&self.lanes.shape.core, self.item)
