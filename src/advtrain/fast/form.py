"""What a quicker form of a network is."""

from torch import Tensor, nn


class Form(nn.Module):
    """A network in another form: the same logits and gradients except for rounding. The weights stay the network's own."""

    def frozen(self) -> "Form":
        """The form for an attack, with the weights as they are now."""
        return self

    def twice_differentiable(self) -> nn.Module:
        """The form for a loss that has a gradient in it."""
        return self


class Climber(Form):
    """A form that takes an attack's steps on the cross-entropy itself."""

    def ascend(
        self, start: Tensor, x: Tensor, y: Tensor, *, epsilon: float, step_size: float, steps: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Some steps of `attacks.gradient.ascend` from `start`; the logits are those where the last of them started."""
        raise NotImplementedError
