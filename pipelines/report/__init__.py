"""Report: an output folder -> a page about it, and the same as JSON.

    rows          manifests -> the last row of each picture, a batch at a time
    numbers       rows -> counts, shares, times, histograms, what is odd in its folder
    chosen        rows -> those that are shown: the worst, some at random, failures of each class
    thumbnails    their pictures -> small ones, before and after
    spent         seconds -> what threads spent them on, what set the pace
    retry         a failure's row -> the command that tries failed pictures again
    charts        histograms -> SVG
    page          all of it -> one HTML file that needs nothing else
    limits        'suspect>5%' -> whether the numbers keep to it

Pictures are read through `store.stores`, so any storage will do. One that can't be read is shown as
such.
"""
