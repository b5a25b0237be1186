"""Class activation maps: what the notebooks of this repository share."""

from .cam import CamResult, class_activation_map, grad_cam, normalize_map
from .figures import show_figure
from .heads import FitResult, GAPClassifier, extract_features, fit_head
from .images import ImageError, crop_box, image_folder, load_image
from .models import Classifier, Prediction, WeightsError, load_classifier, load_vgg16_features
from .paths import data_path, scene_path
from .plotting import Figure, overlay, show_cam, show_images
from .published import compare_published

__all__ = [
    "CamResult", "Classifier", "Figure", "FitResult", "GAPClassifier", "ImageError",
    "Prediction", "WeightsError", "class_activation_map", "compare_published", "crop_box",
    "data_path", "extract_features", "fit_head", "grad_cam", "image_folder", "load_classifier",
    "load_image", "load_vgg16_features", "normalize_map", "overlay", "scene_path", "show_cam",
    "show_figure", "show_images",
]  # fmt: skip
