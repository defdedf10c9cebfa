"""nsq_to_file: the messages of topics, as lines in files (apps section 2).

`topics` says which topics, `archive` is one of them: it gathers messages and finishes them when
they are safe. `output` is its file, opened, rotated and synced in a thread; `filename` what that
is called, `members` how gzip is written so that a crash leaves a readable file, `leftovers` what
is done about the files of a crash.
"""
