"""The command `rembg-beam`: settings -> job -> run.

    cli           which of the commands is meant
    status        how it ends
    access        how storage and the web are read
    lean          Beam and rembg, imported without what a run never uses
    settings      flags and a YAML file -> checked `Settings`, and where each value comes from
    values        a flag's text -> the value of a setting's kind
    parsing       arguments that are wrong -> one line
    documents     YAML text -> a value, or what is wrong with it, and where
    beam_options  Beam's own options, from both
    checks        settings -> the job, or what is wrong with them
    dry_run       a job -> what it would do
    sampling      pictures of a job -> some of them
    warm          what a run of many comes to use, loaded before pictures are timed
    planning/     a job -> its hours and dollars, by machine and number
    tuning/       settings -> those under which pictures are done fastest here
    preflight/    what contradicts itself in a run, before anything is sent
    progress      what a person sees while it runs
    logs          which words go to which stream
    workers       worker processes that die, and of what
    signals       Ctrl-C, SIGTERM, SIGHUP -> an exception, and its exit status
    running       the pipeline in a thread, and the next one where a worker process died
    ending        what a run says at its end, and its exit status
    commands/     what each command does
    __main__      start and end of the process

It uses `rembg_beam.transforms`, which knows nothing of it.
"""
