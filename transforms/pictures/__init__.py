"""One picture at a time, as pure functions: no Beam, no storage, no session of their own.

    bounds      what would hold a decoder up is refused by its headers
    decode      bytes -> an upright Pillow image, or an error that says what the bytes are
    modes       ... in a mode that every option of rembg takes
    given       ... or an image or array that is there already
    srgb        ... in sRGB, by its ICC profile, where that is asked for
    options     what is asked for, checked
    cutout      image, session and options -> rembg's own result
    prompts     the arguments of particular models, checked
    foreground  ... where it reaches pymatting and ViTMatte
    framing     how that is cropped, placed and sized, checked
    geometry    ... where each of its points goes
    resampling  ... and its pixels
    encode      result -> the bytes of a PNG, WebP or JPEG

What can fail raises a class of its own or `ValueError`, which a step makes a row of.
"""
