"""The models there are: every session class rembg has, the bundled one, and ViTMatte's.

`MODELS` is written down rather than asked of rembg, because importing rembg needs onnxruntime and
naming a model must not; a test holds names, download addresses and checksums equal to rembg's own.
File sizes and licences are given where their makers or rembg state them, else they are None: the
catalogue doesn't guess. `find` raises `ValueError` for a name that is none of them.
"""

import os
from typing import Dict, NamedTuple, Optional, Tuple

from ..setting import did_you_mean

TINY = "tiny"
CLOTH = "u2net_cloth_seg"
SAM = "sam"

# Where rembg downloads from.
RELEASES = "https://github.com/danielgatis/rembg/releases/download/v0.0.0/"


class ModelFile(NamedTuple):
    """One file of a model.

    Attributes:
      name: in rembg's home, below `models/MODEL/`.
      release: its name below `RELEASES`; None if rembg makes it or the user brings it.
      checksum: rembg's, `md5:…` or `sha256:…`.
    """

    name: str
    release: Optional[str]
    checksum: Optional[str]


class Model(NamedTuple):
    """One entry.

    Attributes:
      name: as rembg and `--model` have it.
      purpose: what it cuts out.
      size: width and height in pixels that a picture is resized to.
      session: rembg's name of the session class that runs it.
      files: in the order the session class opens them.
      megabytes: of its files together, as stated; None where it is not.
      licence: of the model, as far as it is stated; None where it is not.
      masks: the names of its masks in the order of `predict`, if there are several.
      is_custom: whether it needs a `model_path`.
      is_remote: whether pictures are uploaded to a service, which bills for them.
      is_matting: whether it refines the mask of another one, as ViTMatte.
    """

    name: str
    purpose: str
    size: Optional[Tuple[int, int]]
    session: str
    files: Tuple[ModelFile, ...] = ()
    megabytes: Optional[float] = None
    licence: Optional[str] = None
    masks: Tuple[str, ...] = ()
    is_custom: bool = False
    is_remote: bool = False
    is_matting: bool = False

    @property
    def has_map(self) -> bool:
        """Whether its first output is the map, from 0 to 1, that its one mask is made of."""
        several = len(self.files) > 1 or bool(self.masks)
        return not (several or self.is_remote or self.is_matting)

    @property
    def bytes_per_pixel(self) -> int:
        """About what its masks take beyond one: SAM's are warped in float64."""
        return 64 if self.name == SAM else 12 * max(0, len(self.masks) - 1)

    @property
    def gives_logits(self) -> bool:
        """Whether rembg puts that map through a sigmoid first."""
        return self.name.startswith("birefnet")


_U2NET = "Apache-2.0 (U-2-Net)"
_SAM = "Apache-2.0 (Segment Anything)"
_BIREFNET = "MIT (BiRefNet)"
_BRIA = "commercial use needs a paid licence of BRIA"


def _model(
    name: str,
    purpose: str,
    size: int,
    release: str,
    checksum: str,
    megabytes: Optional[float] = None,
    licence: Optional[str] = None,
) -> Model:
    file = ModelFile(f"{name}.onnx", release, checksum)
    return Model(name, purpose, (size, size), name, (file,), megabytes, licence)


def _birefnet(variant: str, purpose: str, release: str, md5: str) -> Model:
    name = f"birefnet-{variant}"
    return _model(name, purpose, 1024, f"BiRefNet-{release}.onnx", f"md5:{md5}", None, _BIREFNET)


def _custom(name: str, purpose: str, size: int) -> Model:
    return Model(name, purpose, (size, size), name, is_custom=True)


def _remote(name: str) -> Model:
    return Model(name, "a paid service: every picture is uploaded", None, name, is_remote=True)


def _vitmatte(variant: str, sha256: str) -> Model:
    name = f"vitmatte-{variant}"
    file = ModelFile(f"{name}.onnx", f"{name}.onnx", f"sha256:{sha256}")
    return Model(name, "soft edges", (1024, 1024), "vitmatte", (file,), is_matting=True)


_ALL = (
    _model(
        *("u2net", "general purpose", 320, "u2net.onnx"),
        *("md5:60024c5c889badc19c04ad937298a77b", 176.0, _U2NET),
    ),
    _model(
        *("u2netp", "general purpose, a lighter u2net", 320, "u2netp.onnx"),
        *("md5:8e83ca70e441ab06c318d82300c84806", 4.6, _U2NET),
    ),
    _model(
        *("u2net_human_seg", "people", 320, "u2net_human_seg.onnx"),
        *("md5:c09ddc2e0104f800e3e1bb4652583d1f", None, _U2NET),
    ),
    _model(
        *(CLOTH, "clothes: upper, lower and full body", 768, "u2net_cloth_seg.onnx"),
        "md5:2434d1f3cb744e0e49386c906e5a08bb",
    )._replace(masks=("upper", "lower", "full")),
    _model(
        *("silueta", "general purpose, u2net made small", 320, "silueta.onnx"),
        *("md5:55e59e0d8062d2f5d013f4725ee84782", 43.0),
    ),
    _model(
        *("isnet-general-use", "general purpose, finer edges", 1024, "isnet-general-use.onnx"),
        "md5:fc16ebd8b0c10d971d3513d564d01e29",
    ),
    _model(
        *("isnet-anime", "anime characters", 1024, "isnet-anime.onnx"),
        "md5:6f184e756bb3bd901c8849220a83e38e",
    ),
    Model(
        *(SAM, "what a prompt points at, or the centre", (1024, 684), SAM),
        files=(
            ModelFile(
                *("sam_vit_b_01ec64.encoder.onnx", "sam_vit_b_01ec64.encoder.onnx"),
                "md5:a780f8ba09bceceaa1435724ed354848",
            ),
            ModelFile(
                *("sam_vit_b_01ec64.decoder.onnx", "sam_vit_b_01ec64.decoder.onnx"),
                "md5:c4218b16ec1cb09889fcd6eb7a42a7c9",
            ),
        ),
        licence=_SAM,
    ),
    _birefnet(
        *("general", "general purpose, large"),
        *("general-epoch_244", "7a35a0141cbbc80de11d9c9a28f52697"),
    ),
    _birefnet(
        *("general-lite", "general purpose, lighter"),
        *("general-bb_swin_v1_tiny-epoch_232", "4fab47adc4ff364be1713e97b7e66334"),
    ),
    Model(
        *("birefnet-general-fp16", "birefnet-general in half precision, for GPUs", (1024, 1024)),
        "birefnet-general-fp16",
        (ModelFile("birefnet-general-fp16.onnx", None, None),),
        licence=_BIREFNET,
    ),
    _birefnet(
        *("portrait", "portraits of people"),
        *("portrait-epoch_150", "c3a64a6abf20250d090cd055f12a3b67"),
    ),
    _birefnet(
        *("dis", "fine structures (dichotomous segmentation)"),
        *("DIS-epoch_590", "2d4d44102b446f33a4ebb2e56c051f2b"),
    ),
    _birefnet(
        *("hrsod", "salient objects in high resolution"),
        *("HRSOD_DHU-epoch_115", "c017ade5de8a50ff0fd74d790d268dda"),
    ),
    _birefnet(
        *("cod", "camouflaged objects"),
        *("COD-epoch_125", "f6d0d21ca89d287f17e7afe9f5fd3b45"),
    ),
    _birefnet(
        *("massive", "general purpose, trained on more data"),
        *("massive-TR_DIS5K_TR_TEs-epoch_420", "33e726a2136a3d59eb0fdf613e31e3e9"),
    ),
    _model(
        *("bria-rmbg", "general purpose", 1024, "bria-rmbg-2.0.onnx"),
        "sha256:5b486f08200f513f460da46dd701db5fbb47d79b4be4b708a19444bcd4e79958",
        *(1020.0, _BRIA),
    ),
    _custom("u2net_custom", "a U-2-Net of your own", 320),
    _custom("dis_custom", "an IS-Net (DIS) of your own", 1024),
    _custom("ben_custom", "a BEN of your own", 1024),
    _remote("withoutbg"),
    _remote("atlascloud"),
    Model(
        *(TINY, "bundled, for trying things out", (320, 320), "u2netp"),
        licence="Apache-2.0 (rembg-beam)",
    ),
)

MODELS: Dict[str, Model] = {model.name: model for model in _ALL}

MATTING: Dict[str, Model] = {
    model.name: model
    for model in (
        _vitmatte(
            "small-distinctions-646",
            "d232841ac9d9657df3e62f6c92ed425ee25df18d337245cd8b903fc1ba183631",
        ),
        _vitmatte(
            "small-composition-1k",
            "659b9bb2870f80cffbe20dae4c7f18417fbdf68c0195861d24e9082c28373a24",
        ),
        _vitmatte(
            "base-distinctions-646",
            "d30190833269c1bec3e37319fe67af151028d3be32f6f60f6663a51b209cc8c1",
        ),
        _vitmatte(
            "base-composition-1k",
            "87bb10979f816061497ba6867b338c65a05cebd7d1507f6dde92a86382dec1f2",
        ),
    )
}


def find(name: str) -> Model:
    """The model of a name, in any case; what follows a colon is a label and ignored.

    >>> find("u2net: general purpose").name
    'u2net'
    >>> find("u2nett")
    Traceback (most recent call last):
    ...
    ValueError: unknown model 'u2nett'; did you mean 'u2net'? The models are: u2net, u2netp, ...
    """
    key = name.partition(":")[0].strip().lower()
    if key in MODELS:
        return MODELS[key]
    if key in MATTING:
        return MATTING[key]
    hint = did_you_mean(key, MODELS)
    raise ValueError(f"unknown model {name!r}{hint} The models are: {', '.join(MODELS)}")


def bundled_path() -> str:
    """The file of the bundled model, inside the package."""
    return os.path.join(os.path.dirname(__file__), "tiny.onnx")
