"""Makes `tiny`, the model inside the package: pictures by a program, and a net trained on them.

    people, animals, vehicles, things -> figures -> compose -> batches -> train -> export
                         scenes, props -> posed -> compose    batches -> evaluate -> card

All of them are painted with `colours` and `textures`.

Nothing here is installed, and nothing outside this folder needs it. It needs the extra `training`.
No photo is learnt from: besides what is drawn here there are only textures from scikit-image's
public-domain and CC0 samples (`textures.SAMPLES`).
"""
