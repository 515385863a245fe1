"""Recipes: everything that decides a training run's result, as checked, frozen data.

No TensorFlow here: recipes are read, overridden and refused before anything heavy is imported.
"""

import dataclasses
import json
import typing
from collections.abc import Iterable
from typing import Any, Literal

from keras_gan import overrides
from keras_gan.interfaces import UserError

DEFAULT_VALIDATION = "hash:0.1"


def _expect(condition: bool, expected: str, **received: Any) -> None:
    if not condition:
        values = ", ".join(f"{name}={value!r}" for name, value in received.items())
        raise UserError(f"Expected {expected}; received {values}.")


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """One network's optimizer.

    Args:
        name: "adam", or "momentum" (classical momentum with the paper's two schedules).
        learning_rate: at the first update.
        beta_1: Adam's first decay rate.
        beta_2: Adam's second decay rate.
        epsilon: what Adam adds to the root that it divides by; gradients far below it move little.
        weight_decay: share of each kernel that an update takes off, times the learning rate
            (decoupled: Loshchilov and Hutter 2019); biases keep what they have.
        momentum: momentum's first value.
        final_momentum: momentum's value from `momentum_epochs` on, reached linearly.
        momentum_epochs: the epoch at which momentum stops rising.
        decay: the learning rate at update t is `learning_rate / decay**t`.
        minimum: the learning rate never falls below this.
        schedule: "constant", which leaves the rate to `decay` and `minimum`, or "cosine" or
            "linear" (down to 0 at the last step).
        hold: share of the run before a linear schedule falls.
    """

    name: Literal["adam", "momentum"] = "adam"
    learning_rate: float = 2e-4
    beta_1: float = 0.5
    beta_2: float = 0.999
    epsilon: float = 1e-7
    weight_decay: float = 0.0
    momentum: float = 0.5
    final_momentum: float = 0.7
    momentum_epochs: int = 250
    decay: float = 1.0
    minimum: float = 0.0
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    hold: float = 0.0

    def __post_init__(self) -> None:
        _expect(self.learning_rate > 0, "learning_rate above 0", learning_rate=self.learning_rate)
        for name in ("beta_1", "beta_2", "momentum", "final_momentum", "hold"):
            value = getattr(self, name)
            _expect(0 <= value < 1, f"{name} in [0, 1)", **{name: value})
        _expect(self.epsilon > 0, "epsilon above 0", epsilon=self.epsilon)
        _expect(
            0 <= self.weight_decay * self.learning_rate < 1,
            "weight_decay of at least 0, and below 1 / learning_rate",
            weight_decay=self.weight_decay,
            learning_rate=self.learning_rate,
        )
        _expect(self.decay >= 1, "decay of at least 1", decay=self.decay)
        _expect(
            self.momentum_epochs > 1,
            "momentum_epochs above 1",
            momentum_epochs=self.momentum_epochs,
        )
        _expect(
            self.schedule == "constant" or (self.decay == 1 and self.minimum == 0),
            "decay=1 and minimum=0 with a schedule that falls by itself",
            schedule=self.schedule,
            decay=self.decay,
            minimum=self.minimum,
        )


@dataclasses.dataclass(frozen=True)
class MaxoutMLP:
    """The paper's fully connected pair: a generator against a maxout discriminator.

    Args:
        generator_units: width of each hidden layer of the generator.
        discriminator_units: width of each hidden layer of the discriminator.
        pieces: linear pieces of each maxout unit.
        input_dropout: share of the discriminator's input that is dropped.
        hidden_dropout: share of every later layer's input that is dropped.
        generator_range: generator weights start from U(-range, range).
        discriminator_range: discriminator weights start from U(-range, range).
        generator_activations: "relu" or "sigmoid" for each hidden layer of the generator, in turn;
            the last one holds for all that follow.
        output_range: weights of the generator's last layer start from U(-range, range); 0 for the
            same range as the others.
        output_nonzero: instead, so many weights of each output unit start from N(0, 1), the others
            from 0 (sparse initialisation); 0 for none.
        sigmoid_bias: first bias of the generator's hidden sigmoid units.
        max_norm: the largest L2 norm of a unit's incoming weights in both networks; 0 for any.
    """

    generator_units: tuple[int, ...] = (1200, 1200)
    discriminator_units: tuple[int, ...] = (240, 240)
    pieces: int = 5
    input_dropout: float = 0.2
    hidden_dropout: float = 0.5
    generator_range: float = 0.05
    discriminator_range: float = 0.005
    generator_activations: tuple[Literal["relu", "sigmoid"], ...] = ("relu",)
    output_range: float = 0.0
    output_nonzero: int = 0
    sigmoid_bias: float = 0.0
    max_norm: float = 0.0

    def __post_init__(self) -> None:
        for name in ("generator_units", "discriminator_units"):
            units = getattr(self, name)
            _expect(bool(units) and min(units) > 0, f"{name} to be positive", **{name: units})
        _expect(
            0 < len(self.generator_activations) <= len(self.generator_units),
            "generator_activations for one to all of the generator's hidden layers",
            generator_activations=self.generator_activations,
            generator_units=self.generator_units,
        )
        _expect(self.pieces > 0, "pieces of at least 1", pieces=self.pieces)
        _expect_dropout_and_ranges(self)
        for name in ("output_range", "output_nonzero", "max_norm"):
            value = getattr(self, name)
            _expect(value >= 0, f"{name} of at least 0", **{name: value})
        _expect(
            not (self.output_range and self.output_nonzero),
            "output_range or output_nonzero",
            output_range=self.output_range,
            output_nonzero=self.output_nonzero,
        )


@dataclasses.dataclass(frozen=True)
class MaxoutConv:
    """The paper's convolutional pair, sized to any image; the defaults are those for 32x32.

    The generator's last layer is a transposed convolution without padding, with a bias for each
    pixel; the layer below it is as small a map as reaches the image's size, which is then cropped.

    Args:
        generator_units: width of the generator's hidden ReLU layers.
        channels: of the sigmoid map below the transposed convolution.
        kernel: side of the transposed convolution's kernel, in pixels.
        stride: of the transposed convolution.
        discriminator_channels: maxout channels of each convolution of the discriminator.
        kernels: sides of these convolutions' kernels.
        pads: zeros around each convolution's input.
        pools: side of each max pooling, of stride 2.
        pieces: linear pieces of each maxout channel.
        units: maxout units of the fully connected layer above.
        unit_pieces: linear pieces of each of these.
        input_dropout: share of the discriminator's input that is dropped.
        hidden_dropout: share of every later layer's input that is dropped.
        generator_range: generator weights start from U(-range, range).
        discriminator_range: discriminator weights start from U(-range, range).
        output_range: the transposed convolution's weights start from U(-range, range); 0 for the
            same range as the generator's others.
    """

    generator_units: tuple[int, ...] = (8000,)
    channels: int = 80
    kernel: int = 5
    stride: int = 3
    discriminator_channels: tuple[int, ...] = (32, 32, 192)
    kernels: tuple[int, ...] = (8, 8, 5)
    pads: tuple[int, ...] = (4, 3, 3)
    pools: tuple[int, ...] = (4, 4, 2)
    pieces: int = 2
    units: int = 500
    unit_pieces: int = 5
    input_dropout: float = 0.2
    hidden_dropout: float = 0.5
    generator_range: float = 0.05
    discriminator_range: float = 0.005
    output_range: float = 0.0

    def __post_init__(self) -> None:
        for name in (
            "generator_units",
            "discriminator_channels",
            "kernels",
            "pools",
        ):
            values = getattr(self, name)
            _expect(bool(values) and min(values) > 0, f"{name} to be positive", **{name: values})
        _expect(min(self.pads, default=0) >= 0, "pads of at least 0", pads=self.pads)
        lengths = [
            len(values)
            for values in (self.discriminator_channels, self.kernels, self.pads, self.pools)
        ]
        _expect(
            len(set(lengths)) == 1,
            "as many kernels, pads and pools as discriminator_channels",
            discriminator_channels=self.discriminator_channels,
            kernels=self.kernels,
            pads=self.pads,
            pools=self.pools,
        )
        for name in ("channels", "stride", "pieces", "units", "unit_pieces"):
            value = getattr(self, name)
            _expect(value > 0, f"{name} of at least 1", **{name: value})
        _expect(
            self.kernel >= self.stride,
            "kernel of at least stride, else some pixels are never reached",
            kernel=self.kernel,
            stride=self.stride,
        )
        _expect_dropout_and_ranges(self)
        output_range = self.output_range
        _expect(output_range >= 0, "output_range of at least 0", output_range=output_range)


@dataclasses.dataclass(frozen=True)
class DCGAN:
    """A convolutional pair (Radford et al. 2015) sized to any image.

    Args:
        filters: channels of the layer next to the image; doubled at each halving of the side.
        smallest: the side, in pixels, at which the halving stops.
        dropout: share of each discriminator feature map that is dropped.
        conditioning: how a conditional discriminator gets its label: "projection" (Miyato and
            Koyama 2018), or "maps" of one value each beside the image.
    """

    filters: int = 16
    smallest: int = 4
    dropout: float = 0.0
    conditioning: Literal["projection", "maps"] = "projection"

    def __post_init__(self) -> None:
        _expect(self.filters > 0, "filters of at least 1", filters=self.filters)
        _expect(self.smallest > 0, "smallest of at least 1", smallest=self.smallest)
        _expect(0 <= self.dropout < 1, "dropout in [0, 1)", dropout=self.dropout)


def _expect_dropout_and_ranges(pair: MaxoutMLP | MaxoutConv) -> None:
    """Check what both of the paper's pairs have."""
    for name in ("input_dropout", "hidden_dropout"):
        value = getattr(pair, name)
        _expect(0 <= value < 1, f"{name} in [0, 1)", **{name: value})
    for name in ("generator_range", "discriminator_range"):
        value = getattr(pair, name)
        _expect(value > 0, f"{name} above 0", **{name: value})


Network = MaxoutMLP | MaxoutConv | DCGAN


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One experiment, whole: the data set, the networks, the game and its length.

    Args:
        name: what the run and its export are called.
        dataset: a TensorFlow Datasets name, with `/config` where it has several.
        validation: "last:N" holds the last N training images out, "hash:SHARE" a share chosen by
            content, "none" nothing. A data set's own validation split is used when it has one.
        image_size: images are cropped to a square and resized to this side; 0 keeps their size.
        image_channels: 1 makes images grey, 3 colours them; 0 keeps their channels.
        scale: what the networks see and make: "unit", pixels in [0, 1] by a sigmoid; or "contrast",
            images of mean 0 and L2 norm 55 (global contrast normalisation) by a linear layer.
        made_for: the file name of the data that a published recipe is for, where these are not
            public; what other data give is no result of the recipe's.
        prior: the distribution of z.
        latent: the number of dimensions of z.
        network: the pair of networks.
        conditional: whether both networks are told the image's class: p(x|c) of section 7. The data
            must have labels.
        inpainting: whether the networks are told a part of the image, drawn anew each time, and G
            completes it: all conditionals p(x_S | x_not-S) of section 7.
        energy_score: with inpainting, weight of the energy score in G's loss, which keeps several
            completions of one image apart; 0 for none.
        encoder_units: width of each hidden ReLU layer of an encoder that learns, beside G, which z
            made each of its samples: learned inference of section 7, jointly; none for no encoder.
        generator_from: an earlier run's work directory: its generator's layers become the last ones
            of this run's generator, which goes on training them; empty for none.
        loss: a name in `losses.LOSSES`.
        r1: weight of the R1 penalty on the discriminator's gradient at real images; 0 for none.
        update: "alternating" (Algorithm 1) or "simultaneous" (the code shipped with the paper).
        d_steps: discriminator steps per generator step: k in Algorithm 1.
        g_steps: generator steps per round; more than 1 train G against a stale discriminator, which
            the paper warns of ("the Helvetica scenario").
        max_lead: while the discriminator's lead, the moving mean of D(x) - D(G(z)), is above this,
            it rests, and d_steps is the most that it takes in a round; 1 for always d_steps.
        top_share: share of the generator's samples, those that D judges most real, from which it
            learns; 1 for all.
        batch_size: m in Algorithm 1: images per discriminator step.
        d_optimizer: the discriminator's optimizer.
        g_optimizer: the generator's optimizer.
        e_optimizer: the encoder's optimizer, if there is one.
        ema_decay: decay per step of the generator's moving average; 0 for none.
        epochs: passes over the training images; used when `steps` is 0.
        steps: rounds of d_steps discriminator steps and g_steps generator steps.
        compute_dtype: "float32", or "bfloat16" or "float16" for matrix products (weights and losses
            stay float32; float16 scales the losses).
        jit_compile: compile the step with XLA.
        seed: of weights, noise, masks and the order of the data.
        log_every: steps between two points of a curve.
        sample_every: steps between two grids of samples.
        checkpoint_every: steps between two checkpoints.
    """

    name: str
    dataset: str
    validation: str = DEFAULT_VALIDATION
    image_size: int = 0
    image_channels: Literal[0, 1, 3] = 0
    scale: Literal["unit", "contrast"] = "unit"
    made_for: str = ""
    prior: Literal["uniform", "normal", "spherical"] = "normal"
    latent: int = 100
    network: Network = dataclasses.field(default_factory=MaxoutMLP)
    conditional: bool = False
    inpainting: bool = False
    energy_score: float = 0.0
    encoder_units: tuple[int, ...] = ()
    generator_from: str = ""
    loss: Literal["minimax", "non_saturating"] = "non_saturating"
    update: Literal["alternating", "simultaneous"] = "simultaneous"
    r1: float = 0.0
    d_steps: int = 1
    g_steps: int = 1
    max_lead: float = 1.0
    top_share: float = 1.0
    batch_size: int = 100
    d_optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
    g_optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
    e_optimizer: Optimizer = Optimizer("adam", 5e-4, beta_1=0.9)
    ema_decay: float = 0.999
    epochs: int = 50
    steps: int = 0
    compute_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    jit_compile: bool = False
    seed: int = 0
    log_every: int = 100
    sample_every: int = 2000
    checkpoint_every: int = 2000

    def __post_init__(self) -> None:
        for name in (
            "latent",
            "d_steps",
            "g_steps",
            "batch_size",
            "log_every",
            "sample_every",
            "checkpoint_every",
        ):
            value = getattr(self, name)
            _expect(value > 0, f"{name} of at least 1", **{name: value})
        for name in ("image_size", "epochs", "steps", "seed"):
            value = getattr(self, name)
            _expect(value >= 0, f"{name} of at least 0", **{name: value})
        _expect(self.seed < 2**32, "seed below 2**32", seed=self.seed)
        _expect(
            self.epochs > 0 or self.steps > 0,
            "epochs or steps above 0",
            epochs=self.epochs,
            steps=self.steps,
        )
        for name in ("max_lead", "top_share"):
            value = getattr(self, name)
            _expect(0 < value <= 1, f"{name} in (0, 1]", **{name: value})
        _expect(self.r1 >= 0, "r1 of at least 0", r1=self.r1)
        _expect(0 <= self.ema_decay < 1, "ema_decay in [0, 1)", ema_decay=self.ema_decay)
        _expect(
            self.image_size == 0 or self.image_size >= 8,
            "image_size of 0 (keep) or at least 8 pixels",
            image_size=self.image_size,
        )
        validation_rule(self.validation)
        _expect(
            not self.inpainting or (not self.conditional and self.scale == "unit"),
            "inpainting=true with conditional=false and scale=unit",
            conditional=self.conditional,
            scale=self.scale,
        )
        _expect(
            min(self.encoder_units, default=1) > 0 and not (self.encoder_units and self.inpainting),
            "encoder_units to be positive, and none with inpainting=true",
            encoder_units=self.encoder_units,
            inpainting=self.inpainting,
        )
        _expect(
            self.energy_score == 0 or (self.inpainting and self.energy_score > 0),
            "energy_score of 0, or above 0 with inpainting=true",
            energy_score=self.energy_score,
        )

    @property
    def images_per_step(self) -> int:
        """Rows of data that one step consumes: k * m."""
        return self.d_steps * self.batch_size

    def total_steps(self, train_images: int) -> int:
        """Count the rounds of the whole run on `train_images` images."""
        return self.steps or self.epochs * (train_images // self.images_per_step)

    @property
    def resumable(self) -> set[str]:
        """What may change when a run is resumed: how often it reports, and how long it lasts.

        A schedule that ends with the run fixes the length from the start.
        """
        reports = {"log_every", "sample_every", "checkpoint_every"}
        optimizers = (self.d_optimizer, self.g_optimizer, self.e_optimizer)
        if {optimizer.schedule for optimizer in optimizers} != {"constant"}:
            return reports
        return reports | {"epochs", "steps"}

    def with_overrides(self, assignments: Iterable[str]) -> "Recipe":
        """Return a copy with other settings.

        Args:
            assignments: `key=value` each, as `d_optimizer.learning_rate=1e-4`.

        Raises:
            UserError: if a key is unknown, or a value of another type or out of its range.
        """
        assignments = list(assignments)
        for assignment in assignments:
            if assignment.partition("=")[0].strip() in ("name", "dataset"):
                raise UserError(
                    f"Expected another key; received {assignment!r}. Try --dataset=NAME."
                )
        return overrides.override(self, *assignments)

    def to_json(self) -> str:
        """Write the recipe as JSON; `from_json` reads it back equal."""
        return json.dumps(overrides.to_data(self), indent=2, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: str) -> "Recipe":
        """Read what `to_json` wrote."""
        return typing.cast(Recipe, overrides.from_data(Recipe, json.loads(text)))


@dataclasses.dataclass(frozen=True)
class Encoder:
    """How an encoder is trained to find the z of a generator's images.

    Args:
        units: width of each of its hidden ReLU layers.
        batch_size: generated images of a step.
        learning_rate: Adam's, at step 0; at step t it is this / (1 + t / half_after).
        half_after: steps after which the learning rate is half of what it was.
        steps: of training; they may grow.
        seed: of weights and noise.
    """

    units: tuple[int, ...] = (1024, 1024, 1024)
    batch_size: int = 100
    learning_rate: float = 1e-3
    half_after: int = 2000
    steps: int = 4000
    seed: int = 0

    def __post_init__(self) -> None:
        _expect(bool(self.units) and min(self.units) > 0, "units to be positive", units=self.units)
        for name in ("batch_size", "half_after", "steps"):
            value = getattr(self, name)
            _expect(value > 0, f"{name} of at least 1", **{name: value})
        _expect(self.learning_rate > 0, "learning_rate above 0", learning_rate=self.learning_rate)
        _expect(0 <= self.seed < 2**32, "seed in [0, 2**32)", seed=self.seed)


def validation_rule(text: str, name: str = "validation") -> tuple[str, float]:
    """Read "last:N", "hash:SHARE" or "none" as (kind, amount); `name` is who has it."""
    kind, _, amount = text.partition(":")
    try:
        if kind == "last" and int(amount) > 0:
            return kind, int(amount)
        if kind == "hash" and 0 < float(amount) < 1:
            return kind, float(amount)
        if text == "none":
            return kind, 0
    except ValueError:
        pass
    raise UserError(
        f"Expected {name} to be last:N, hash:SHARE (0 to 1) or none; received {name}={text!r}."
    )
