"""What the HTTP faces of the three daemons share: how NSQ answers, whatever is asked.

`nsqtx.web.channel` reads requests and judges their bodies before they are read, `nsqtx.web.site`
puts channels, requests and a request log together, `nsqtx.web.routing` is the part of routing that
Klein does otherwise than NSQ, `nsqtx.web.api` the forms of answers, `nsqtx.web.args` the query,
`nsqtx.web.memory` and `nsqtx.web.debug` what a daemon tells of its own process.
"""
