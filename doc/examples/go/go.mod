module nsqexample

go 1.19
