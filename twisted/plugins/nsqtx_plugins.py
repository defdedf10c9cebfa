"""What ``twistd`` offers when nsqtx is installed."""

from twisted.application.service import ServiceMaker

nsqd = ServiceMaker("nsqd", "nsqtx.nsqd.tap", "A queue of NSQ: takes messages in, delivers them.", "nsqd")
