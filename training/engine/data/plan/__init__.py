"""What would become of a data set, told before it is kept: the dry run of every way in."""

from .archives import plan_archive_file, plan_names
from .base import DataPlan, Suggestion
from .tables import plan_table_file, plan_unseen

__all__ = ["DataPlan", "Suggestion", "plan_archive_file", "plan_names", "plan_table_file", "plan_unseen"]
