"""Class activation maps: what the notebooks of this repository share."""

from .cam import (
    CamResult,
    backpropagate,
    class_activation_map,
    crop_box,
    grad_cam,
    normalize_map,
)
from .data import data_path
from .heads import FitResult, GAPClassifier, extract_features, fit_head
from .images import ImageError, image_folder, load_image
from .models import Classifier, Prediction, WeightsError, load_classifier, load_vgg16_features
from .plotting import Figure, overlay, show_cam, show_images
