"""The same bits, sooner: loops that give what Pillow and rembg give, compiled by numba.

    twin      a fast function beside a slow one: proved once, loaded when it pays
    resample  Pillow's Lanczos filter
    plain     rembg's plain cutout

Loading them takes most of a second in each process, and compiling them some more once per machine,
so a short run never does; see `twin`.
"""
