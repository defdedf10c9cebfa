// nsqjs (Node.js) as publisher and consumer, doing what traffic.py says.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const nsq = require('nsqjs');

const BATCH = 50;
const DEFERRED = 20;
const DEFER_MS = 300;
const REQUEUE_MS = 50;
const MAX_IN_FLIGHT = 100;

const task = JSON.parse(process.argv[2]);

function features() {
  const options = { tls: task.tls, snappy: task.snappy, deflate: task.deflate };
  if (task.tls) options.ca = fs.readFileSync(task.authority);
  return options;
}

function large(number) {
  const pieces = [Buffer.from(`${number}:`)];
  for (let counter = 0; counter <= Math.floor(task.largest / 32); counter += 1) {
    const hashed = String(number === 0 ? counter : 0);
    pieces.push(crypto.createHash('sha256').update(hashed).digest());
  }
  return Buffer.concat(pieces).subarray(0, task.largest);
}

function body(number) {
  if (task.largest > 0 && number < 2) return large(number);
  return Buffer.concat([
    Buffer.from(`${number}:`),
    Buffer.alloc(number % 61, number % 256),
  ]);
}

function numberOf(data) {
  return parseInt(data.subarray(0, 20).toString('latin1').split(':')[0], 10);
}

function fail(error) {
  console.error(error);
  process.exit(1);
}

function publish(published) {
  const [host, port] = task.address.split(':');
  const writer = new nsq.Writer(host, Number(port), features());
  let waiting = 0;
  const answered = (error) => {
    if (error) fail(error);
    waiting -= 1;
    if (waiting === 0) published();
  };
  writer.on('error', fail);
  writer.on('closed', () => fail('the connection was lost'));
  writer.on('ready', () => {
    for (let number = 0; number < task.single; number += 1) {
      waiting += 1;
      writer.publish(task.topic, body(number), answered);
    }
    for (let first = task.single; first < task.count - DEFERRED; first += BATCH) {
      const bodies = [];
      const last = Math.min(first + BATCH, task.count - DEFERRED);
      for (let number = first; number < last; number += 1) bodies.push(body(number));
      waiting += 1;
      writer.publish(task.topic, bodies, answered);
    }
    for (let number = task.count - DEFERRED; number < task.count; number += 1) {
      waiting += 1;
      // This version wants a list where its documentation says a message.
      writer.deferPublish(task.topic, [body(number)], DEFER_MS, answered);
    }
  });
  writer.connect();
}

function consume(consumed) {
  const finished = [];
  let requeued = 0;
  let touched = 0;
  const reader = new nsq.Reader(task.topic, task.channel, {
    [task.lookup ? 'lookupdHTTPAddresses' : 'nsqdTCPAddresses']: [task.address],
    maxInFlight: MAX_IN_FLIGHT,
    ...features(),
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
    if (finished.length === task.count) {
      setTimeout(() => consumed({ bodies: finished, requeued, touched }), 200);
    }
  });
  reader.connect();
}

// Say what was finished, and wait until the test has seen it.
function report(result) {
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.stdin.on('end', () => process.exit(0));
  process.stdin.resume();
}

const then = () => (task.channel ? consume(report) : process.exit(0));
if (task.publish) publish(then);
else then();
