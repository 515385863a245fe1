"""Semi-supervised learning: a discriminator that also classifies (Salimans et al. 2016).

D tells K classes and "generated" apart, K + 1 in all. One of their logits is free, so that of
"generated" is 0 and D has K outputs l. Then, with Z = sum exp l,
    p(class k | x, real) = exp l_k / Z    and    D(x) = p(real | x) = Z / (Z + 1),
whose logit is log Z = logsumexp l: the game is that of `losses`, played with it.
"""

from typing import Any

import keras
import tensorflow as tf

from keras_gan import averages, losses, priors, replicas
from keras_gan.gan import GAN
from keras_gan.serialization import revived

GENERATOR_LOSSES = ("feature_matching", *losses.LOSSES)


def real_logit(logits: tf.Tensor) -> tf.Tensor:
    """Return the logit of D(x) = Z / (Z + 1), float32 [B], of class logits, float32 [B, K]."""
    return tf.reduce_logsumexp(logits, axis=-1)


def supervised_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Return -log p(label | x, real), float32 [B], of class logits [B, K] and labels, int [B]."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def unsupervised_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Return -log D(x) - log(1 - D(G(z))), float32 [B], of both images' class logits [B, K]."""
    return losses.LOSSES["minimax"].discriminator(real_logit(real), real_logit(fake))


def feature_distance(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Return the mean square difference of two batches' mean features, each float32 [B, F]."""
    return tf.reduce_mean(tf.square(replicas.mean(real, axis=0) - replicas.mean(fake, axis=0)))


@keras.saving.register_keras_serializable("keras_gan")
class SemiSupervisedGAN(keras.Model):
    """A generator against a discriminator that also classifies.

    Args:
        generator: z, float32 [B, d] -> images, float32 [B, H, W, C] in [0, 1].
        discriminator: images -> class logits, float32 [B, K].
        prior: the distribution of z, from `keras_gan.priors`.
        unlabelled_weight: of the unsupervised loss, beside the supervised one; 0 trains D on labels
            alone, and G not at all.
        generator_loss: one of `GENERATOR_LOSSES`.
        features: name of the layer of D whose mean G matches.
        ema_decay: decay per step of a moving average of both networks' weights, which then
            classifies and draws; 0 for none.
        seed: of all noise and masks, in [0, 2**32).
    """

    encoder = None  # which a `GAN` may have

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        prior: priors.Prior,
        *,
        unlabelled_weight: float = 0.5,
        generator_loss: str = "feature_matching",
        features: str = "features",
        ema_decay: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if generator_loss not in GENERATOR_LOSSES:
            raise ValueError(
                f"Expected generator_loss to be one of {', '.join(GENERATOR_LOSSES)}; received "
                f"{generator_loss=}."
            )
        if unlabelled_weight < 0 or not 0 <= ema_decay < 1 or not 0 <= seed < 2**32:
            raise ValueError(
                "Expected unlabelled_weight of at least 0, ema_decay in [0, 1) and seed in "
                f"[0, 2**32); received {unlabelled_weight=}, {ema_decay=}, {seed=}."
            )
        self.generator, self.discriminator, self.prior = generator, discriminator, prior
        self.unlabelled_weight, self.generator_loss = unlabelled_weight, generator_loss
        self.ema_decay, self.seed = ema_decay, seed
        self.features = features
        self.average = averages.copy(generator) if ema_decay else None
        self.average_discriminator = averages.copy(discriminator) if ema_decay else None
        tapped = [discriminator.outputs[0], discriminator.get_layer(features).output]
        self.judge = keras.Model(discriminator.inputs[0], tapped, name="judge")
        self.step = self._counter("step")
        self.retries = self._counter("retries")  # times that a run was rolled back
        played = ("d_loss", "g_loss", "d_real", "d_fake") if unlabelled_weight else ("d_loss",)
        self.means = {name: keras.metrics.Mean(name) for name in (*played, "labelled_loss")}
        self.built = True

    def _counter(self, name: str) -> keras.Variable:
        return self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="int64",
            trainable=False,
            aggregation="only_first_replica",
            name=name,
        )

    def compile(
        self,
        *,
        d_optimizer: keras.optimizers.Optimizer,
        g_optimizer: keras.optimizers.Optimizer,
        **kwargs: Any,
    ) -> None:
        """Choose the optimizers; `jit_compile` and others are as in Keras."""
        super().compile(optimizer=None, **kwargs)
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
        # An optimizer that is not built before weights are loaded starts from zero moments.
        d_optimizer.build(self.discriminator.trainable_variables)
        g_optimizer.build(self.generator.trainable_variables)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Move both networks from the same point, on the same noise and the same masks.

        Args:
            data: labelled images, float32 [n, H, W, C] in [0, 1]; their labels, int [n]; and images
                without labels, [m, H, W, C], which nothing is done with if their loss weighs 0.

        Returns:
            The means, since they were last reset, of the losses, D(x) and D(G(z)).
        """
        labelled, labels, *unlabelled = data
        if self.unlabelled_weight:
            self._play(labelled, labels, *unlabelled)
        else:
            self._learn_labels(labelled, labels)
        for average, network in (
            (self.average, self.generator),
            (self.average_discriminator, self.discriminator),
        ):
            averages.follow(average, network, self.ema_decay, self.step.value)
        self.step.assign_add(1)
        return {name: replicas.log_value(mean) for name, mean in self.means.items()}

    def _play(self, labelled: tf.Tensor, labels: tf.Tensor, real: tf.Tensor) -> None:
        n = tf.shape(labelled)[0]
        key = self._key(priors.DISCRIMINATOR_NOISE, of_all=True)
        z = replicas.draw(self.prior, replicas.rows(real), key)
        with tf.GradientTape(persistent=True) as tape:
            with priors.masks(self.generator, self._key(priors.OWN_MASKS)):
                fake = self.generator(z, training=True)
            seen = tf.concat([labelled, real], axis=0)
            logits, features = self._judge(seen, priors.REAL_MASKS)
            labelled_logits, real_logits = logits[:n], logits[n:]
            fake_logits, fake_features = self._judge(fake, priors.FAKE_MASKS)

            supervised = tf.reduce_mean(supervised_loss(labelled_logits, labels))
            unsupervised = tf.reduce_mean(unsupervised_loss(real_logits, fake_logits))
            d_loss = supervised + self.unlabelled_weight * unsupervised
            if self.generator_loss == "feature_matching":
                g_loss = feature_distance(features[n:], fake_features)
            else:
                fooled = losses.LOSSES[self.generator_loss].generator
                g_loss = tf.reduce_mean(fooled(real_logit(fake_logits)))
            # Gradients are summed over replicas.
            d_total, g_total = d_loss / replicas.number(), g_loss / replicas.number()
        for network, optimizer, loss in (
            (self.discriminator, self.d_optimizer, d_total),
            (self.generator, self.g_optimizer, g_total),
        ):
            weights = network.trainable_variables
            replicas.apply(optimizer, tape.gradient(loss, weights), weights)
        self._log(
            d_loss=d_loss,
            g_loss=g_loss,
            labelled_loss=supervised,
            d_real=tf.sigmoid(real_logit(real_logits)),
            d_fake=tf.sigmoid(real_logit(fake_logits)),
        )

    def _learn_labels(self, labelled: tf.Tensor, labels: tf.Tensor) -> None:
        weights = self.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            logits, _ = self._judge(labelled, priors.REAL_MASKS)
            loss = tf.reduce_mean(supervised_loss(logits, labels))
            total = loss / replicas.number()
        replicas.apply(self.d_optimizer, tape.gradient(total, weights), weights)
        self._log(d_loss=loss, labelled_loss=loss)

    def _judge(self, images: tf.Tensor, stream: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Return D's class logits and features of images, with noise of this step."""
        with priors.masks(self.judge, self._key(stream)):
            return self.judge(images, training=True)

    def _key(self, stream: int, of_all: bool = False) -> tf.Tensor:
        """Make the key of a draw of this replica's own, or of all replicas together."""
        retry = self.retries.value % priors.MAX_RETRIES * priors.MAX_REPLICAS
        replica = tf.cast(0 if of_all else replicas.own(), tf.int64) + retry
        return priors.key(self.seed, stream, self.step.value, replica)

    def _log(self, **values: tf.Tensor) -> None:
        for name, value in values.items():
            self.means[name].update_state(value)

    @property
    def classifier(self) -> keras.Model:
        """Images -> class logits, float32 [B, K]: D's moving average, where there is one."""
        return self.average_discriminator or self.discriminator

    def as_gan(self) -> GAN:
        """Return a `GAN` of weights as they are now, whose D says real or generated; not compiled.

        It draws and judges by the moving averages, where there are some.
        """
        logit = keras.ops.logsumexp(self.classifier.outputs[0], axis=-1, keepdims=True)
        discriminator = keras.Model(self.classifier.inputs[0], logit, name="real_or_generated")
        gan = GAN(
            self.generator, discriminator, self.prior, ema_decay=self.ema_decay, seed=self.seed
        )
        if self.average is not None and gan.average is not None:
            gan.average.set_weights(self.average.get_weights())
        return gan

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return class logits, float32 [B, K], of images, float32 [B, H, W, C] in [0, 1].

        Outside training they come from the moving average, where there is one.
        """
        return (self.discriminator if training else self.classifier)(images, training=training)

    # Saving ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, networks included."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "generator": serialize(self.generator),
            "discriminator": serialize(self.discriminator),
            "prior": serialize(self.prior),
            "unlabelled_weight": self.unlabelled_weight,
            "generator_loss": self.generator_loss,
            "features": self.features,
            "ema_decay": self.ema_decay,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SemiSupervisedGAN":
        """Make a pair from `get_config`'s answer."""
        names = ("generator", "discriminator", "prior")
        return cls(**revived(config, *names, custom_objects=custom_objects))

    def get_compile_config(self) -> dict[str, Any]:
        """Return `compile`'s arguments."""
        if not self.compiled:
            return {}
        serialize = keras.saving.serialize_keras_object
        return {
            "d_optimizer": serialize(self.d_optimizer),
            "g_optimizer": serialize(self.g_optimizer),
            "jit_compile": self.jit_compile,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as `get_compile_config` says; weights and moments are loaded afterwards."""
        self.compile(**revived(config, "d_optimizer", "g_optimizer"))
