"""imagededup 0.3.3: hashes and CNN, both forms of the JSON, and what to remove.

CNN compares by a model of this script's own: the one that imagededup uses is downloaded.
"""

import sys
from pathlib import Path

import torch
from imagededup.methods import CNN, PHash
from imagededup.utils import CustomModel
from torchvision.transforms import Compose, Resize, ToTensor

SIDE = 12


class Thumbnail(torch.nn.Module):
    """Encodes a picture as its own thumbnail, around its mean colour."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Flatten pictures (n, 3, side, side) to vectors."""
        return (pictures - 0.5).flatten(start_dim=1)


def main(pictures: Path, out: Path) -> None:
    """Find duplicates by both methods, and save them as imagededup itself does."""
    hashes = PHash(verbose=False)
    found = hashes.encode_images(image_dir=pictures)
    for name, scores in (("phash", False), ("phash_scores", True)):
        hashes.find_duplicates(
            encoding_map=found,
            max_distance_threshold=8,
            scores=scores,
            outfile=out / f"{name}.json",
        )
    hashes.find_duplicates_to_remove(
        encoding_map=found, max_distance_threshold=8, outfile=out / "phash_to_remove.json"
    )
    transform = Compose([Resize((SIDE, SIDE)), ToTensor()])
    model = CustomModel(name="thumbnail", model=Thumbnail(), transform=transform)
    cnn = CNN(verbose=False, model_config=model)
    given = {"image_dir": pictures, "min_similarity_threshold": 0.99}
    cnn.find_duplicates(**given, scores=True, outfile=out / "cnn_scores.json")
    cnn.find_duplicates_to_remove(**given, outfile=out / "cnn_to_remove.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
