// nsqjs (Node.js) as publisher or consumer, doing what traffic.py says.
//
// `publish host:port topic count` and `consume host:port topic channel count`.
'use strict';

const nsq = require('nsqjs');

const SINGLE = 700;
const BATCH = 50;
const DEFERRED = 20;
const DEFER_MS = 300;
const REQUEUE_MS = 50;

function body(number) {
  return Buffer.concat([
    Buffer.from(`${number}:`),
    Buffer.alloc(number % 61, number % 256),
  ]);
}

function numberOf(data) {
  return parseInt(data.toString('latin1').split(':')[0], 10);
}

function fail(error) {
  console.error(error);
  process.exit(1);
}

function publish(address, topic, count) {
  const [host, port] = address.split(':');
  const writer = new nsq.Writer(host, Number(port));
  let waiting = 0;
  const answered = (error) => {
    if (error) fail(error);
    waiting -= 1;
    if (waiting === 0) writer.close();
  };
  writer.on('error', fail);
  writer.on('closed', () => process.exit(0));
  writer.on('ready', () => {
    for (let number = 0; number < SINGLE; number += 1) {
      waiting += 1;
      writer.publish(topic, body(number), answered);
    }
    for (let first = SINGLE; first < count - DEFERRED; first += BATCH) {
      const bodies = [];
      const last = Math.min(first + BATCH, count - DEFERRED);
      for (let number = first; number < last; number += 1) bodies.push(body(number));
      waiting += 1;
      writer.publish(topic, bodies, answered);
    }
    for (let number = count - DEFERRED; number < count; number += 1) {
      waiting += 1;
      // This version wants a list where its documentation says a message.
      writer.deferPublish(topic, [body(number)], DEFER_MS, answered);
    }
  });
  writer.connect();
}

function consume(address, topic, channel, count) {
  const finished = [];
  let requeued = 0;
  let touched = 0;
  const reader = new nsq.Reader(topic, channel, {
    nsqdTCPAddresses: [address],
    maxInFlight: 200,
  });
  reader.on('error', fail);
  reader.on('message', (message) => {
    const data = message.body;
    const number = numberOf(data);
    if (number % 50 === 7 && message.attempts === 1) {
      requeued += 1;
      message.requeue(REQUEUE_MS, false);
      return;
    }
    if (number % 30 === 3) {
      touched += 1;
      message.touch();
    }
    message.finish();
    finished.push(data.toString('hex'));
    if (finished.length === count) {
      setTimeout(() => {
        const result = JSON.stringify({ bodies: finished, requeued, touched });
        process.stdout.write(`${result}\n`, () => process.exit(0));
      }, 200);
    }
  });
  reader.connect();
}

const [role, ...rest] = process.argv.slice(2);
if (role === 'publish') publish(rest[0], rest[1], Number(rest[2]));
else consume(rest[0], rest[1], rest[2], Number(rest[3]));
