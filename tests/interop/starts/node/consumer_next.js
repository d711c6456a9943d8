// The consumer once more, with @platformatic/kafka, for what KafkaJS does not speak: KIP-848, where
// the broker assigns partitions and members go on reading while some of them change hands.
//
//     node consumer_next.js [TOPIC [GROUP]]
'use strict'
const { setImmediate: nextTurn } = require('node:timers/promises')
const {
  Consumer, GroupProtocols, MessagesStreamFallbackModes, MessagesStreamModes, stringDeserializers,
} = require('@platformatic/kafka')

const COMMIT_EVERY_MS = 1000 // a crash, or a rebalance, repeats what was done since
const FETCH_BYTES = 256 * 1024 // decoded in one go, during which nothing else happens
const [topic = 'orders', groupId = 'billing-next'] = process.argv.slice(2)

const consumer = new Consumer({
  clientId: 'billing',
  bootstrapBrokers: (process.env.BOOTSTRAP_SERVERS ?? '127.0.0.1:9092').split(','),
  groupId,
  groupProtocol: GroupProtocols.CONSUMER,
  deserializers: stringDeserializers,
})
const handled = new Map() // by partition: what is to be committed

async function handle({ topic, partition, offset, key, value }) {
  await nextTurn() // stands for what takes its time: a database, a service
  console.log(`${topic}-${partition}@${offset} ${key}: ${value}`)
}

async function commit() {
  const offsets = [...handled.values()]
  handled.clear()
  if (offsets.length) await consumer.commit({ offsets })
}

async function main() {
  const stream = await consumer.consume({
    topics: [topic],
    mode: MessagesStreamModes.COMMITTED,
    fallbackMode: MessagesStreamFallbackModes.EARLIEST,
    autocommit: false,
    maxWaitTime: 500,
    maxBytes: FETCH_BYTES,
    maxBytesPerPartition: FETCH_BYTES,
  })
  let stopping = false
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => {
      stopping = true
      stream.close() // ends the loop where it waits for a record
    })
  }
  const timer = setInterval(() => commit().catch(fail), COMMIT_EVERY_MS)
  for await (const message of stream) {
    await handle(message)
    const { partition, offset, leaderEpoch } = message
    handled.set(partition, { topic, partition, offset: offset + 1n, leaderEpoch })
    if (stopping) break
  }
  clearInterval(timer)
  await commit()
  await consumer.close()
}

function fail(error) {
  console.error(error)
  process.exit(1)
}

main().catch(fail)
