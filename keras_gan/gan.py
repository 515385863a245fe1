"""The adversarial game: Algorithm 1 of Goodfellow et al. 2014 as a `keras.Model`."""

import functools
from typing import Any, Literal

import keras
import tensorflow as tf

from keras_gan import averages, conditions, coordination, encoding, losses, priors, replicas
from keras_gan.conditions import joined
from keras_gan.each_alone import looks_at_each_alone
from keras_gan.pair import Pair
from keras_gan.serialization import revived


@keras.saving.register_keras_serializable("keras_gan")
class GAN(Pair):
    """A generator and a discriminator that learn against each other.

    Args:
        generator: z, float32 [B, d] -> images, float32 [B, H, W, C] in [0, 1].
        discriminator: images -> logits [B, 1].
            In a conditional pair the generator takes [z, c] and the discriminator [x, c], with
            c float32 [B, conditions]: Keras models of two inputs.
        prior: the distribution of z, from `keras_gan.priors`.
        d_steps: discriminator steps per generator step: k of Algorithm 1.
        max_lead: while D's lead, the moving mean of D(x) - D(G(z)), is above this, D rests: d_steps
            is then the most that it takes in a round. 1 for always d_steps.
        g_steps: generator steps per round; more than 1 let G run from a stale discriminator, which
            is how it collapses ("the Helvetica scenario" of section 6).
        update: "alternating" takes the generator's gradient after the discriminator has moved, on
            fresh noise (Algorithm 1 as written). "simultaneous" takes both gradients at the same
            point, with the same noise and the same masks (the code shipped with the paper).
        top_share: share of G's samples, those that D judges most real, from which G learns; 1 for
            all. D learns from all in any case.
        encoder: images, float32 [B, H, W, C] in [0, 1] -> numbers [B, d], of a conditional pair
            [x, c]: learns beside G which z made each of G's samples (section 7, extension 2, as the
            code shipped with the paper has it); None for none. Nothing of it reaches G or D.
        ema_decay: decay per round of a moving average of the generator's weights, which then draws
            the samples; 0 for none.
        scale: what the networks see, if not pixels in [0, 1]; see `keras_gan.scales`.
        num_classes: K, if the pair is conditional and labels are class numbers, int [B] in [0, K),
            which become one-hot. None for a pair without c, or one whose labels are c itself.
        seed: of all noise and masks, in [0, 2**32).
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        prior: priors.Prior,
        *,
        d_steps: int = 1,
        g_steps: int = 1,
        max_lead: float = 1.0,
        top_share: float = 1.0,
        encoder: keras.Model | None = None,
        update: Literal["alternating", "simultaneous"] = "simultaneous",
        ema_decay: float = 0.0,
        scale: keras.layers.Layer | None = None,
        num_classes: int | None = None,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        for name, steps in (("d_steps", d_steps), ("g_steps", g_steps)):
            if steps < 1:
                raise ValueError(f"Expected {name} of at least 1; received {name}={steps}.")
        for name, share in (("max_lead", max_lead), ("top_share", top_share)):
            if not 0 < share <= 1:
                raise ValueError(f"Expected {name} in (0, 1]; received {name}={share}.")
        if update not in ("alternating", "simultaneous"):
            raise ValueError(
                f'Expected update to be "alternating" or "simultaneous"; received {update=}.'
            )
        if not 0 <= ema_decay < 1:
            raise ValueError(f"Expected ema_decay in [0, 1); received {ema_decay=}.")
        if not 0 <= seed < 2**32:
            raise ValueError(f"Expected seed in [0, 2**32); received {seed=}.")
        self.condition = conditions.of(generator, discriminator, num_classes)
        if encoder is not None:
            encoding.expect_fitting(encoder, generator, self.condition)
        self.num_classes = num_classes
        self.encoder = encoder
        self.generator = generator
        self.discriminator = discriminator
        self.prior = prior
        self.d_steps = d_steps
        self.g_steps = g_steps
        self.max_lead = max_lead
        self.top_share = top_share
        self.update = update
        self.ema_decay = ema_decay
        self.scale = scale
        if scale is not None and not scale.built:
            scale.build((None, *self.image_shape))
        self.seed = seed
        self.average = averages.copy(generator) if ema_decay else None
        self._judges_each_alone = looks_at_each_alone(discriminator)
        self.step = self._counter("step")
        self.retries = self._counter("retries")  # times that a run was rolled back
        self.means = {
            name: keras.metrics.Mean(name) for name in ("d_loss", "g_loss", "d_real", "d_fake")
        }
        self.pace: coordination.Always | coordination.Lead = coordination.Always()
        if max_lead < 1:
            self.pace = coordination.Lead(max_lead, d_steps, self._moving)
        self.means |= self.pace.means
        if encoder is not None:
            self.means["z_error"] = keras.metrics.Mean("z_error")
        self.build((None, prior.dimension))

    def _counter(self, name: str) -> keras.Variable:
        return self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="int64",
            trainable=False,
            aggregation="only_first_replica",
            name=name,
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Mark the model built: its networks already are."""
        self.built = True

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        """Skip what Keras does before `fit` under a strategy; it fails on several workers."""

    def compile(
        self,
        *,
        d_optimizer: keras.optimizers.Optimizer,
        g_optimizer: keras.optimizers.Optimizer,
        loss: str | losses.AdversarialLoss = "non_saturating",
        r1: float = 0.0,
        e_optimizer: keras.optimizers.Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Choose the optimizers and what each network minimises.

        Args:
            d_optimizer: the discriminator's. Where layers compute in float16, both are wrapped in a
                `LossScaleOptimizer`: small gradients would be 0 otherwise.
            g_optimizer: the generator's.
            loss: a name in `losses.LOSSES`, or a pair of functions.
            r1: weight of the R1 penalty on D's gradient at real images; 0 for none.
            e_optimizer: the encoder's, if there is one.
            **kwargs: `jit_compile`, `run_eagerly`, `steps_per_execution` as in Keras.
        """
        if isinstance(loss, str) and loss not in losses.LOSSES:
            known = ", ".join(losses.LOSSES)
            raise ValueError(f"Expected loss to be one of {known}; received {loss=}.")
        if (e_optimizer is None) != (self.encoder is None):
            raise ValueError(
                "Expected e_optimizer for a GAN with an encoder, and for no other; received "
                f"e_optimizer={e_optimizer}."
            )
        # Keras would attach its default optimizer otherwise.
        super().compile(optimizer=None, **kwargs)
        networks = (self.generator, self.discriminator)
        self.d_optimizer = d_optimizer = replicas.scaling(d_optimizer, networks)
        self.g_optimizer = g_optimizer = replicas.scaling(g_optimizer, networks)
        self._loss = loss
        self.loss_pair = losses.LOSSES[loss] if isinstance(loss, str) else loss
        self.r1 = r1
        # An optimizer that is not built before weights are loaded starts from zero moments.
        d_optimizer.build(self.discriminator.trainable_variables)
        g_optimizer.build(self.generator.trainable_variables)
        self.e_optimizer = e_optimizer
        if self.encoder is not None:
            self.e_optimizer = e_optimizer = replicas.scaling(e_optimizer, (self.encoder,))
            e_optimizer.build(self.encoder.trainable_variables)

    # Algorithm 1 -----------------------------------------------------------------------------

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Play one round: k discriminator steps, each on fresh data and noise, then those of G.

        With `max_lead`, each of the k is taken only if D does not lead by more; its images are not
        looked at otherwise.

        Args:
            data: real images, float32 [k * m, H, W, C] in [0, 1], or a tuple that starts with them
                and goes on with their labels, which a conditional GAN needs.

        Returns:
            The means, since they were last reset, of d_loss = -V(D, G), g_loss, d_real = D(x) and
            d_fake = D(G(z)); with `max_lead` also of d_steps, D's steps in a round, with an encoder
            of z_error.
        """
        images = data[0] if isinstance(data, tuple) else data
        if images.shape[0] is not None and images.shape[0] % self.d_steps:
            raise ValueError(
                f"Expected batches of d_steps * m images; received {images.shape[0]} images with "
                f"d_steps={self.d_steps}. Try another batch size, and drop_remainder=True."
            )
        if self.scale is not None:
            images = self.scale(images)
        *earlier, last = tf.split(images, self.d_steps)  # k of [m, H, W, C]
        *earlier_c, c = self._split_labels(data)  # generated images get those of the real ones
        for index, real in enumerate(earlier):
            self.pace.step(self.discriminator_step, real, index, earlier_c[index])
        generator_step = functools.partial(self.generator_step, replicas.rows(last), c=c, real=last)
        if self.update == "alternating":
            self.pace.step(self.discriminator_step, last, len(earlier), c)
            generator_step()
        else:
            both = self.simultaneous_step
            self.pace.step(both, last, len(earlier), c, otherwise=generator_step)
        for index in range(1, self.g_steps):
            generator_step(index=index)
        averages.follow(self.average, self.generator, self.ema_decay, self.step.value)
        self.step.assign_add(1)
        return {name: replicas.log_value(mean) for name, mean in self.means.items()}

    def _moving(self) -> list[Any]:
        """List the variables that the steps of D, G and the encoder change."""
        moving = [self.generator, self.discriminator, self.d_optimizer, self.g_optimizer]
        if self.encoder is not None:
            moving += [self.encoder, self.e_optimizer]
        parts = (*moving, *self.means.values())
        return [variable for part in parts for variable in part.variables]

    def _split_labels(self, data: Any) -> list[Any]:
        """Return c for each of the k steps, float32 [m, conditions]; None each without a c."""
        if not self.condition:
            return [None] * self.d_steps
        if not isinstance(data, tuple) or len(data) < 2 or data[1] is None:
            raise ValueError(
                "Expected pairs (images, labels): this GAN is conditional; received images alone. "
                "Try train_dataset(..., labels=True)."
            )
        return tf.split(self.condition.vectors(data[1]), self.d_steps)

    def discriminator_step(self, real: tf.Tensor, index: int = 0, c: Any = None) -> None:
        """Ascend D's gradient of log D(x) + log(1 - D(G(z))) on `real` and fresh noise.

        Args:
            real: images, float32 [m, H, W, C], as the networks see them.
            index: which of the k steps of this round it is.
            c: what a conditional pair is told of each image, float32 [m, conditions].
        """
        z = self._draw_noise(replicas.rows(real), priors.DISCRIMINATOR_NOISE, index)
        fake = self._generate(z, priors.OWN_MASKS, index, c)
        with tf.GradientTape() as tape:
            real_logits, fake_logits, penalty = self._judge_both(real, fake, index, c)
            loss = tf.reduce_mean(self.loss_pair.discriminator(real_logits, fake_logits))
            total = replicas.share(loss + penalty, self.d_optimizer)
        weights = self.discriminator.trainable_variables
        replicas.apply(self.d_optimizer, tape.gradient(total, weights), weights)
        self._log(loss, real_logits, fake_logits)

    def generator_step(self, n: Any, index: int = 0, c: Any = None, real: Any = None) -> None:
        """Descend G's gradient of its loss on `n` fresh noise vectors; D stays as it is.

        Args:
            n: how many of them: m of Algorithm 1.
            index: which of the `g_steps` of this round it is.
            c: what a conditional pair is told of each image, float32 [m, conditions].
            real: the images of D's last step, which G may be asked to complete.
        """
        z = self._draw_noise(n, priors.GENERATOR_NOISE, index)
        with tf.GradientTape() as tape:
            fake = self._generate(z, priors.OWN_GENERATOR_STEP_MASKS, index, c)
            fake_logits = self._judge(fake, priors.GENERATOR_STEP_MASKS, index, c)
            loss = self._generator_loss(fake_logits, fake, index, c, real)
            total = replicas.share(loss, self.g_optimizer)
        weights = self.generator.trainable_variables
        replicas.apply(self.g_optimizer, tape.gradient(total, weights), weights)
        self.means["g_loss"].update_state(loss)
        self.pace.see(fake=fake_logits)
        self.encoder_step(z, fake, priors.ENCODER_GENERATOR_STEP_MASKS, index, c)

    def simultaneous_step(self, real: tf.Tensor, index: int = 0, c: Any = None) -> None:
        """Move both networks from the same point, on the same noise and the same masks.

        Arguments are those of `discriminator_step`.
        """
        z = self._draw_noise(replicas.rows(real), priors.DISCRIMINATOR_NOISE, index)
        with tf.GradientTape(persistent=True) as tape:
            fake = self._generate(z, priors.OWN_MASKS, index, c)
            real_logits, penalty = self._judge_real(real, index, c)
            fake_logits = self._judge(fake, priors.FAKE_MASKS, index, c)
            d_loss = tf.reduce_mean(self.loss_pair.discriminator(real_logits, fake_logits))
            g_loss = self._generator_loss(fake_logits, fake, index, c, real)
            d_total = replicas.share(d_loss + penalty, self.d_optimizer)
            g_total = replicas.share(g_loss, self.g_optimizer)
        d_gradient = tape.gradient(d_total, self.discriminator.trainable_variables)
        g_gradient = tape.gradient(g_total, self.generator.trainable_variables)
        replicas.apply(self.d_optimizer, d_gradient, self.discriminator.trainable_variables)
        replicas.apply(self.g_optimizer, g_gradient, self.generator.trainable_variables)
        self._log(d_loss, real_logits, fake_logits)
        self.means["g_loss"].update_state(g_loss)
        self.encoder_step(z, fake, priors.ENCODER_MASKS, index, c)

    def encoder_step(
        self, z: tf.Tensor, fake: tf.Tensor, masks: int, index: int = 0, c: Any = None
    ) -> None:
        """Descend the encoder's gradient of (E(G(z)) - z)**2 on the samples of G's own step."""
        if self.encoder is None:
            return
        images = fake if self.scale is None else self.scale.restore(fake)
        key = self._key(masks, index)
        error = encoding.step(self.encoder, self.e_optimizer, self.prior, images, z, c, key)
        self.means["z_error"].update_state(error)

    def _generator_loss(
        self, logits: tf.Tensor, fake: tf.Tensor, index: int, c: Any, real: Any
    ) -> tf.Tensor:
        """Return what G descends, from D's logits on what it made; subclasses may add to it."""
        return coordination.of_best(self.loss_pair.generator(logits), logits, self.top_share)

    def _draw_noise(self, n: Any, stream: int, index: int = 0) -> tf.Tensor:
        return replicas.draw(self.prior, n, self._key(stream, index, of_all=True))  # [n, d]

    def _generate(self, z: tf.Tensor, masks: int, index: int = 0, c: Any = None) -> tf.Tensor:
        with priors.masks(self.generator, self._key(masks, index)):
            return self.generator(joined(z, c), training=True)  # [n, H, W, C]

    def _judge(self, images: tf.Tensor, stream: int, index: int = 0, c: Any = None) -> tf.Tensor:
        with priors.masks(self.discriminator, self._key(stream, index)):
            logits = self.discriminator(joined(images, c), training=True)[:, 0]  # [n]
        return tf.cast(logits, tf.float32)  # what losses are computed in, whatever layers are

    def _judge_both(
        self, real: tf.Tensor, fake: tf.Tensor, index: int, c: Any = None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return D's logits on real and on generated images, and the weighted R1 penalty."""
        if self.r1 or not self._judges_each_alone:
            real_logits, penalty = self._judge_real(real, index, c)
            return real_logits, self._judge(fake, priors.FAKE_MASKS, index, c), penalty
        # Products of twice the rows are faster than twice as many: a tenth of the step.
        images = tf.concat([real, tf.cast(fake, real.dtype)], axis=0)  # [2m, H, W, C]
        told = None if c is None else tf.concat([c, c], axis=0)
        real_logits, fake_logits = tf.split(self._judge(images, priors.REAL_MASKS, index, told), 2)
        return real_logits, fake_logits, tf.constant(0.0)

    def _judge_real(
        self, real: tf.Tensor, index: int, c: Any = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return D's logits on real images and the weighted R1 penalty."""
        if not self.r1:
            return self._judge(real, priors.REAL_MASKS, index, c), tf.constant(0.0)
        logits, norms = losses.squared_gradient_norm(
            lambda images: self._judge(images, priors.REAL_MASKS, index, c), real
        )
        return logits, self.r1 / 2 * tf.reduce_mean(norms)

    def _key(self, stream: int, index: int = 0, of_all: bool = False) -> tf.Tensor:
        """Make the key of a draw of this replica's own, or of all replicas together."""
        steps = max(self.d_steps, self.g_steps)  # of one kind in a round
        retry = self.retries.value % priors.MAX_RETRIES * priors.MAX_REPLICAS
        replica = tf.cast(0 if of_all else replicas.own(), tf.int64) + retry
        return priors.key(self.seed, stream, self.step.value * steps + index, replica)

    def _log(self, loss: tf.Tensor, real_logits: tf.Tensor, fake_logits: tf.Tensor) -> None:
        self.means["d_loss"].update_state(loss)
        self.means["d_real"].update_state(tf.sigmoid(real_logits))
        self.means["d_fake"].update_state(tf.sigmoid(fake_logits))
        self.pace.see(real=real_logits, fake=fake_logits)

    def live(self) -> "GAN":
        """Return a GAN that shares these networks and samples from the live weights."""
        return GAN(
            self.generator,
            self.discriminator,
            self.prior,
            encoder=self.encoder,
            scale=self.scale,
            num_classes=self.num_classes,
            seed=self.seed,
        )

    # Saving ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, networks included."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "generator": serialize(self.generator),
            "discriminator": serialize(self.discriminator),
            "prior": serialize(self.prior),
            "scale": None if self.scale is None else serialize(self.scale),
            "encoder": None if self.encoder is None else serialize(self.encoder),
            "num_classes": self.num_classes,
            "d_steps": self.d_steps,
            "g_steps": self.g_steps,
            "max_lead": self.max_lead,
            "top_share": self.top_share,
            "update": self.update,
            "ema_decay": self.ema_decay,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "GAN":
        """Make a GAN from `get_config`'s answer."""
        names = ("generator", "discriminator", "prior", "scale", "encoder")
        return cls(**revived(config, *names, custom_objects=custom_objects))

    def get_compile_config(self) -> dict[str, Any]:
        """Return `compile`'s arguments; a pair of functions must be registered with Keras."""
        if not self.compiled:
            return {}
        serialize = keras.saving.serialize_keras_object
        loss = self._loss if isinstance(self._loss, str) else [serialize(f) for f in self._loss]
        return {
            "d_optimizer": serialize(self.d_optimizer),
            "g_optimizer": serialize(self.g_optimizer),
            "loss": loss,
            "r1": self.r1,
            "e_optimizer": None if self.e_optimizer is None else serialize(self.e_optimizer),
            "jit_compile": self.jit_compile,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as `get_compile_config` says; weights and moments are loaded afterwards."""
        deserialize = keras.saving.deserialize_keras_object
        config = revived(config, "d_optimizer", "g_optimizer", "e_optimizer")
        if not isinstance(config["loss"], str):
            config["loss"] = losses.AdversarialLoss(*(deserialize(f) for f in config["loss"]))
        self.compile(**config)
