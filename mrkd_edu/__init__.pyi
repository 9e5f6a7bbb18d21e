__version__: str

from .data.folder import AnomalyFolder as AnomalyFolder
from .distance import distillation_loss as distillation_loss
from .flm import FeatureMasking as FeatureMasking
from .ilm import add_anomalies as add_anomalies
from .leakage import leakage_sums as leakage_sums
from .model import MRKD as MRKD
from .recipe import RECIPES as RECIPES
from .recipe import Recipe as Recipe
from .student import Student as Student
from .teacher import Teacher as Teacher
from .toy import make_toy as make_toy
from .train import fit as fit
