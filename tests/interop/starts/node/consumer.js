// Reads orders and commits what is done. On SIGTERM it finishes the record in hand, commits and
// leaves the group.
//
//     node consumer.js [TOPIC [GROUP]]
'use strict'
const { setImmediate: nextTurn } = require('node:timers/promises')
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs')

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

const [topic = 'orders', groupId = 'billing'] = process.argv.slice(2)

const kafka = new Kafka({
  clientId: 'billing',
  brokers: (process.env.BOOTSTRAP_SERVERS ?? '127.0.0.1:9092').split(','),
  logLevel: logLevel.WARN,
})
// A stop waits for the fetch that is under way: half a second, where KafkaJS waits up to five.
const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 500 })

async function handle({ topic, partition, message }) {
  await nextTurn() // stands for what takes its time: a database, a service
  console.log(`${topic}-${partition}@${message.offset} ${message.key}: ${message.value}`)
}

async function eachBatch(context) {
  const { batch, heartbeat, isRunning, isStale, resolveOffset } = context
  try {
    for (const message of batch.messages) {
      if (!isRunning() || isStale()) break
      await handle({ topic: batch.topic, partition: batch.partition, message })
      resolveOffset(message.offset)
      await heartbeat()
    }
  } finally {
    // Not consumer.commitOffsets(), which does nothing any more once a stop has begun.
    await context.commitOffsetsIfNecessary(context.uncommittedOffsets())
  }
}

async function stop() {
  await consumer.disconnect()
  process.exit()
}

// KafkaJS starts anew by itself after errors that may pass. After others it stands still: end, so
// that whoever started this program does it again.
consumer.on(consumer.events.CRASH, ({ payload }) => {
  if (!payload.restart) process.exit(1)
})

async function main() {
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, stop)
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  // Without eachBatchAutoResolve: false a batch that was left half done counts as done.
  await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch })
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
