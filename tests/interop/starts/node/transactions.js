// Makes an invoice of each order, exactly once: invoices and the offsets of their orders are one
// transaction. Invoices are for consumers that read committed records only (KafkaJS: the default).
//
//     node transactions.js [INPUT [OUTPUT [GROUP]]]    OUTPUT has as many partitions as INPUT
'use strict'
const { CompressionCodecs, CompressionTypes, Kafka, Partitioners, logLevel } = require('kafkajs')

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

const RECORDS = 200 // in a transaction
const [input = 'orders', output = 'invoices', groupId = 'invoicing'] = process.argv.slice(2)

const kafka = new Kafka({
  clientId: 'invoicing',
  brokers: (process.env.BOOTSTRAP_SERVERS ?? '127.0.0.1:9092').split(','),
  logLevel: logLevel.WARN,
})
const admin = kafka.admin()
const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 500, sessionTimeout: 10_000 })
const owners = new Map() // by input partition: { producer, next }

function invoice(order) {
  return { order: order.id, amount: order.amount }
}

// KafkaJS does not tell the group's generation with the offsets that it sends, so that the group
// cannot keep out a member that has lost a partition without knowing it. The transactional id does:
// there is one for each input partition. The first transaction of a new producer ends what the one
// before has left open and shuts it out. Only then is the stored offset the last word.
async function begin(partition) {
  let owner = owners.get(partition)
  if (!owner) {
    const producer = kafka.producer({
      createPartitioner: Partitioners.DefaultPartitioner,
      transactionalId: `${groupId}-${input}-${partition}`,
      idempotent: true,
      maxInFlightRequests: 1,
    })
    owner = { producer, next: null }
    owners.set(partition, owner)
    await producer.connect()
  }
  const transaction = await owner.producer.transaction()
  if (owner.next === null) {
    const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [input] })
    owner.next = BigInt(partitions.find((one) => one.partition === partition).offset)
  }
  return { transaction, next: owner.next }
}

async function copy(partition, messages) {
  const { transaction, next } = await begin(partition)
  const todo = messages.filter(({ offset }) => BigInt(offset) >= next)
  if (!todo.length) return transaction.abort()
  await transaction.send({
    topic: output,
    // All to one partition: of a send to several, KafkaJS can double a part when another fails.
    messages: todo.map(({ key, value }) => (
      { key, partition, value: JSON.stringify(invoice(JSON.parse(value))) })),
  })
  const offset = BigInt(todo.at(-1).offset) + 1n
  const topics = [{ topic: input, partitions: [{ partition, offset: offset.toString() }] }]
  await transaction.sendOffsets({ consumerGroupId: groupId, topics })
  await transaction.commit()
  owners.get(partition).next = offset
}

async function eachBatch({ batch: { partition, messages }, ...context }) {
  const { heartbeat, isRunning, isStale, resolveOffset } = context
  for (let n = 0; n < messages.length && isRunning() && !isStale(); n += RECORDS) {
    await heartbeat() // throws for a member that has lost its place, before it shuts out another
    const some = messages.slice(n, n + RECORDS)
    try {
      await copy(partition, some)
    } catch (error) {
      // Whether it was committed, a new producer finds out; KafkaJS calls again in a while.
      const { producer } = owners.get(partition)
      owners.delete(partition)
      await producer.disconnect()
      throw error
    }
    resolveOffset(some.at(-1).offset)
  }
}

async function stop() {
  await consumer.disconnect()
  await Promise.all([...owners.values()].map(({ producer }) => producer.disconnect()))
  process.exit()
}

// Shut out by a successor, for example: end, and let whoever started this program do it again.
consumer.on(consumer.events.CRASH, ({ payload }) => {
  if (!payload.restart) process.exit(1)
})

async function main() {
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, stop)
  await admin.connect()
  await consumer.connect()
  await consumer.subscribe({ topics: [input], fromBeginning: true })
  await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch })
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
