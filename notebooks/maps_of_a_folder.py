"""The Grad-CAM maps of a whole folder: `python maps_of_a_folder.py PICTURES MAPS`.

PICTURES holds one folder per class, each with its pictures. For every picture one
`.npz` appears in MAPS, in a folder named after the network and its weights: `map`
(h, w), after the ReLU and not normalised, `index` of its first answer, and that
answer's `logit`. A file appears only when it is whole; what is there is taken for
done, so that a run that was stopped resumes where it was. A file that is no picture is
refused at the start; a truncated one is named, and the others are made. It uses a GPU
where there is one.

Several GPUs or machines that share the folders: the same script under `torchrun` splits
the work.
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from camutils import ImageError, grad_cam, image_folder, load_classifier, load_image
from camutils.data import whole_file

BATCH = 8


class Pictures(Dataset):
    """(index, tensor) of each picture, or (index, what is wrong with it)."""

    def __init__(self, paths, preprocess):
        self.paths, self.preprocess = paths, preprocess

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        try:
            return i, self.preprocess(load_image(self.paths[i]))
        except ImageError as error:
            return i, str(error)


def main(pictures: Path, maps: Path) -> int:
    if maps.resolve().is_relative_to(pictures.resolve()):
        sys.exit(f"MAPS: got {maps}, expected a folder outside PICTURES.")
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = (
        f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
        if torch.cuda.is_available()
        else "cpu"
    )
    classifier = load_classifier("densenet201", stand_in="efficientnet_lite0")
    model = classifier.model.to(device)
    # Maps of another network, or of the same one untrained, are not mixed in.
    maps /= classifier.name if classifier.trained else f"{classifier.name}-random"

    sources = [Path(path) for path, _ in image_folder(pictures).samples]
    targets = [maps / f"{path.relative_to(pictures)}.npz" for path in sources]
    todo = [i for i in range(rank, len(sources), world) if not targets[i].exists()]
    dataset = Pictures([sources[i] for i in todo], classifier.preprocess)
    loader = DataLoader(dataset, BATCH, num_workers=2, collate_fn=list)
    broken = []
    for batch in tqdm(loader, disable=rank > 0):
        broken += [content for _, content in batch if isinstance(content, str)]
        whole = [(todo[i], x) for i, x in batch if not isinstance(x, str)]
        if not whole:
            continue
        x = torch.stack([x for _, x in whole]).to(device)
        result = grad_cam(model, classifier.target_layer, x)  # The top class of each.
        logits = result.logits.gather(1, result.classes)
        columns = (t.cpu().numpy()[:, 0] for t in (result.maps, result.classes, logits))
        for (i, _), heatmap, index, logit in zip(whole, *columns, strict=True):
            with whole_file(targets[i]) as path:
                np.savez(path, map=heatmap, index=index, logit=logit)
    for sentence in broken:
        print(sentence)
    return 1 if broken else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
