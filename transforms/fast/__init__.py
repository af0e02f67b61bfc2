"""The same bits, sooner, than Pillow, rembg and NumPy give them.

    jpeg       a JPEG decoded, by libjpeg-turbo alone
    twin       a fast function beside a slow one: proved once, loaded when it pays
    resample   Pillow's Lanczos filter, a twin
    normalize  the tensor that a model takes
    stretch    the mask that a model's map becomes
    plain      rembg's plain cutout, a twin
    shrink     Pillow's Hamming filter for what has opacity, a twin
    grid       what is counted to doubt a mask
    subject    sums over a subject's pixels
    png        a PNG of the same pixels, by one filter and ISA-L

Twins are loops compiled by numba. Loading them takes most of a second in each process, and
compiling them some more once per machine, so a short run never does; see `twin`.
"""
