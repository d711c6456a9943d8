// Posts orders to a service. While that fails it tries again, waiting twice as long each time; what
// it does not take in the end, or refuses for good, goes to a dead-letter topic.
//
//     node retry.js URL [TOPIC [GROUP]]    dead letters: TOPIC.dead-letters
'use strict'
const { setTimeout: sleep } = require('node:timers/promises')
const { CompressionCodecs, CompressionTypes, Kafka, Partitioners, logLevel } = require('kafkajs')

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

const ATTEMPTS = 5
const FIRST_WAIT_MS = 200 // the waits come to 3 s: a partition stands still for so long at most
const TIMEOUT_MS = 5000
const [url, topic = 'orders', groupId = 'payments'] = process.argv.slice(2)
const deadLetters = `${topic}.dead-letters`

const kafka = new Kafka({
  clientId: 'payments',
  brokers: (process.env.BOOTSTRAP_SERVERS ?? '127.0.0.1:9092').split(','),
  logLevel: logLevel.WARN,
})
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 500 })

// Null when the service has taken it; otherwise why not, and whether that may pass.
async function post({ value }) {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const response = await fetch(url, { method: 'POST', body: value, signal })
    await response.arrayBuffer()
    if (response.ok) return null
    const { status } = response
    return { reason: `status ${status}`, mayPass: status >= 500 || status === 429 }
  } catch (error) {
    return { reason: error.cause?.message ?? error.message, mayPass: true }
  }
}

async function bury({ partition, message, reason, attempts }) {
  const headers = {
    ...message.headers,
    error: reason,
    attempts: String(attempts),
    'original-topic': topic,
    'original-partition': String(partition),
    'original-offset': message.offset,
  }
  const { key, value } = message
  await producer.send({ topic: deadLetters, messages: [{ key, value, headers }] })
  console.error(`${topic}-${partition}@${message.offset} is a dead letter: ${reason}`)
}

// Whether the record is done with: not when a stop came before the last attempt.
async function insist({ partition, message, heartbeat, isRunning }) {
  for (let attempts = 1, wait = FIRST_WAIT_MS; ; attempts++, wait *= 2) {
    const refused = await post(message)
    if (!refused) return true
    const { reason, mayPass } = refused
    if (!mayPass || attempts === ATTEMPTS) {
      await bury({ partition, message, reason, attempts })
      return true
    }
    console.error(`${topic}-${partition}@${message.offset}: ${reason}, again in ${wait} ms`)
    await sleep(wait)
    await heartbeat()
    if (!isRunning()) return false
  }
}

async function eachBatch({ batch: { partition, messages }, ...context }) {
  const { heartbeat, isRunning, isStale, resolveOffset } = context
  try {
    for (const message of messages) {
      if (!isRunning() || isStale()) break
      if (!await insist({ partition, message, heartbeat, isRunning })) break
      resolveOffset(message.offset)
      await heartbeat()
    }
  } finally {
    await context.commitOffsetsIfNecessary(context.uncommittedOffsets())
  }
}

async function stop() {
  await consumer.disconnect()
  await producer.disconnect()
  process.exit()
}

// What does not pass by itself: end, and let whoever started this program do it again.
consumer.on(consumer.events.CRASH, ({ payload }) => {
  if (!payload.restart) process.exit(1)
})

async function main() {
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, stop)
  await producer.connect()
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: 4, // one that waits does not hold up the others
    eachBatch,
  })
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
