"""What ``twistd`` offers when nsqtx is installed."""

from twisted.application.reactors import Reactor
from twisted.application.service import ServiceMaker

nsq = ServiceMaker(
    "nsq",
    "nsqtx.allinone.tap",
    "NSQ in one process: nsqlookupd, nsqd and nsqadmin, to try it or to develop with it.",
    "nsq",
)

nsqd = ServiceMaker(
    "nsqd",
    "nsqtx.nsqd.tap",
    "The queue daemon of NSQ: takes messages in, keeps and delivers them.",
    "nsqd",
)

nsqlookupd = ServiceMaker(
    "nsqlookupd",
    "nsqtx.nsqlookupd.tap",
    "The directory daemon of NSQ: knows which nsqd have which topics and channels.",
    "nsqlookupd",
)

nsqadmin = ServiceMaker(
    "nsqadmin",
    "nsqtx.nsqadmin.tap",
    "The web interface of NSQ: shows a whole cluster, and acts on it.",
    "nsqadmin",
)

nsq_to_file = ServiceMaker(
    "nsq_to_file",
    "nsqtx.tools.nsq_to_file.tap",
    "Archives the messages of NSQ's topics in files.",
    "nsq_to_file",
)

reactor = Reactor(
    "nsqtx",
    "nsqtx.reactor",
    "epoll with a shorter way to readers; the nsqd command uses it (Linux).",
)
