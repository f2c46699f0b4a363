"""All SQL of models."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, and_, or_, select

from app.db.models import FINISHED_STATES, Job, Model
from app.db.repository import OwnedRepository

_NETWORK = ("role", "arguments", "pretrained", "weights_of", "initial_seed", "preprocessing")
"""Columns that determine a network beside its architecture and its upload."""


class ModelRepository(OwnedRepository[Model]):
    """Models of one owner, without deleted ones."""

    table = Model
    noun = "model"

    def owned(self) -> Select[Model]:
        return super().owned().where(Model.deleted_at.is_(None))

    def validations(self, model: Model) -> Sequence[Job]:
        """Unfinished validations of the model."""
        validating = (Job.owner_id == self.owner_id, Job.kind == "check_model", Job.model_id == model.id, Job.state.not_in(FINISHED_STATES))
        return self.session.scalars(select(Job).where(*validating).order_by(Job.id)).all()

    def unfinished_job(self, model: Model) -> Job | None:
        """An unfinished job that needs the model, checks included, except a check that is being canceled."""
        needs_it = or_(Job.model_id == model.id, Job.vlm_id == model.id)
        ends = and_(Job.kind == "check_model", Job.state == "canceling")
        using = (Job.owner_id == self.owner_id, needs_it, Job.state.not_in(FINISHED_STATES), ~ends)
        return self.session.scalar(select(Job).where(*using).limit(1))

    def at_layer(self, base: Model, layer: str, pooling: str | None) -> Model | None:
        """The oldest model with the network and weights of `base` at a named layer, locked against deletion; failed ones do not count."""
        same = (Model.architecture == base.architecture, Model.upload_id.is_not_distinct_from(base.upload_id), Model.state != "failed")
        at = (Model.layer == layer, Model.pooling.is_not_distinct_from(pooling))
        for model in self.session.scalars(self.owned().where(*same, *at).order_by(Model.id).with_for_update(read=True)):
            if all(getattr(model, name) == getattr(base, name) for name in _NETWORK):
                return model
        return None
