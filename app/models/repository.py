"""All SQL of models."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from sqlalchemy import Select, and_, or_, select

from app.db.lists.listing import by_name
from app.db.lists.registration import has_content_of, same_settings
from app.db.lists.uses import count_uses
from app.db.models import FINISHED_STATES, ConceptLibrary, Job, Model
from app.db.repository import OwnedRepository

_SETTINGS = ("role", "arguments", "tokenizer", "pretrained", "weights_of", "initial_seed", "preprocessing")
"""Columns that determine a representation beside architecture, uploads, layer and pooling."""


class ModelRepository(OwnedRepository[Model]):
    """Models of one owner, without deleted ones."""

    table = Model
    noun = "model"
    sort_keys: ClassVar = {"name": by_name(Model)}

    def owned(self) -> Select[Model]:
        return super().owned().where(Model.deleted_at.is_(None))

    def of_ids(self, ids: Collection[str]) -> Sequence[Model]:
        """Those of the models that exist."""
        return self.session.scalars(self.owned().where(Model.id.in_(ids))).all()

    def validations(self, model: Model) -> Sequence[Job]:
        """Unfinished validations of the model."""
        validating = (Job.owner_id == self.owner_id, Job.kind == "check_model", Job.model_id == model.id, Job.state.not_in(FINISHED_STATES))
        return self.session.scalars(select(Job).where(*validating).order_by(Job.id)).all()

    def uses(self, model: Model) -> dict[str, int]:
        """What uses the model, as `count_uses` counts."""
        job, library = or_(Job.model_id == model.id, Job.vlm_id == model.id), ConceptLibrary.model_id == model.id
        return count_uses(self.session, self.owner_id, job, library)

    def unfinished_job(self, model: Model) -> Job | None:
        """An unfinished job that needs the model, checks included, except a check that is being canceled."""
        needs_it = or_(Job.model_id == model.id, Job.vlm_id == model.id)
        ends = and_(Job.kind == "check_model", Job.state == "canceling")
        using = (Job.owner_id == self.owner_id, needs_it, Job.state.not_in(FINISHED_STATES), ~ends)
        return self.session.scalar(select(Job).where(*using).order_by(Job.kind == "check_model", Job.id).limit(1))

    def same(self, wanted: Model) -> Model | None:
        """The oldest model with the content and the settings of a new row, locked against deletion; failed ones do not count."""
        files = (
            has_content_of(Model.upload_id, wanted.upload_id, self.owner_id),
            has_content_of(Model.text_upload_id, wanted.text_upload_id, self.owner_id),
        )
        named = (Model.layer.is_not_distinct_from(wanted.layer), Model.pooling.is_not_distinct_from(wanted.pooling))
        alike = self.owned().where(Model.architecture == wanted.architecture, Model.state != "failed", *files, *named)
        for model in self.session.scalars(alike.order_by(Model.id).with_for_update(read=True)):
            if all(same_settings(getattr(model, name), getattr(wanted, name)) for name in _SETTINGS):
                return model
        return None
