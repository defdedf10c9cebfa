// A worker in Node.js, with nsqjs (npm install nsqjs), on nsqd and nsqlookupd of nsqtx:
//
//     node doc/examples/node_worker.js 127.0.0.1:4161 orders node
//
// It prints each message and finishes it. One that is no JSON comes again after a second, at most
// five times. SIGTERM ends it when what it has is done.
'use strict';

const nsq = require('nsqjs');

const [lookupd, topic, channel] = process.argv.slice(2);

const reader = new nsq.Reader(topic, channel, {
  lookupdHTTPAddresses: [lookupd],
  lookupdPollInterval: 15,
  maxInFlight: 10,
  maxAttempts: 5,
});

reader.on('message', (message) => {
  try {
    console.log(`order ${message.json().number}`);
    message.finish();
  } catch (error) {
    console.error(`attempt ${message.attempts}: ${error.message}`);
    message.requeue(1000);
  }
});
reader.on('discard', (message) => console.error(`given up: ${message.body}`));
reader.on('error', (error) => console.error(error.message));
reader.connect();

process.on('SIGTERM', () => {
  reader.close();
  setTimeout(() => process.exit(0), 500);
});
