"""to_nsq: publishes records of standard input (apps section 7).

`records` cuts the input, `pace` keeps to a rate, `feeding` goes from the one to the other side.
"""
