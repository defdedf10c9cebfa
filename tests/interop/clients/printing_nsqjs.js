// Prints the body of each message of a channel, and finishes it: ADDRESS TOPIC CHANNEL.
'use strict';

const nsq = require('nsqjs');

const [address, topic, channel] = process.argv.slice(2);
const reader = new nsq.Reader(topic, channel, {
  nsqdTCPAddresses: [address],
  lookupdPollInterval: 1,
});
reader.on('message', (message) => {
  console.log(message.body.toString());
  message.finish();
});
reader.on('error', (error) => console.error(error.message));
reader.connect();
