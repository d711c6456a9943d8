// Reads orders; one that cannot be read goes to a dead-letter topic with the reason, and the rest
// goes on.
//
//     node dead_letters.js [TOPIC [GROUP]]    dead letters: TOPIC.dead-letters
'use strict'
const { CompressionCodecs, CompressionTypes, Kafka, Partitioners, logLevel } = require('kafkajs')

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

const [topic = 'orders', groupId = 'shipping'] = process.argv.slice(2)
const deadLetters = `${topic}.dead-letters`

const kafka = new Kafka({
  clientId: 'shipping',
  brokers: (process.env.BOOTSTRAP_SERVERS ?? '127.0.0.1:9092').split(','),
  logLevel: logLevel.WARN,
})
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 500 })

async function handle(message) {
  const order = JSON.parse(message.value)
  if (typeof order?.id !== 'number') throw new TypeError('an order has a number as its id')
  console.log(`order ${order.id} is on its way`)
}

async function bury({ partition, message, error }) {
  const headers = {
    ...message.headers,
    error: `${error.name}: ${error.message}`,
    'original-topic': topic,
    'original-partition': String(partition),
    'original-offset': message.offset,
  }
  // The key and the value stay the bytes that they are: what is mended can be sent again.
  const { key, value } = message
  await producer.send({ topic: deadLetters, messages: [{ key, value, headers }] })
  console.error(`${topic}-${partition}@${message.offset} is a dead letter: ${error.message}`)
}

async function eachBatch({ batch: { partition, messages }, ...context }) {
  const { heartbeat, isRunning, isStale, resolveOffset } = context
  try {
    for (const message of messages) {
      if (!isRunning() || isStale()) break
      try {
        await handle(message)
      } catch (error) {
        await bury({ partition, message, error }) // if that fails, the record is read again
      }
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
  await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch })
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
