// Sends orders as fast as they come: batches for each partition, compressed with snappy.
//
//     node producer.js [TOPIC [COUNT]]
'use strict'
const { setImmediate: nextTurn } = require('node:timers/promises')
const { CompressionCodecs, CompressionTypes, Kafka, Partitioners, logLevel } = require('kafkajs')

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

const BATCH = 500 // records in a request
const WAITING = 10 * BATCH // records of a partition, before publish() makes its caller wait
const [topic = 'orders', count = '100000'] = process.argv.slice(2)

const kafka = new Kafka({
  clientId: 'shop',
  brokers: (process.env.BOOTSTRAP_SERVERS ?? '127.0.0.1:9092').split(','),
  logLevel: logLevel.WARN,
})
// The same key goes to the same partition as with the Java client.
const createPartitioner = Partitioners.DefaultPartitioner
const producer = kafka.producer({ createPartitioner })

// KafkaJS sends at once what it is given, so that batches are up to us. One request of a partition
// is on its way at a time: its records stay in order when it is sent again. And each goes to one
// partition: of a send to several, KafkaJS can lose or double records when a part of it fails.
// A request that fails for good ends the program, as every rejection does that nobody handles.
class Lane {
  #waiting = []
  #sending = null

  publish(message) {
    this.#waiting.push(message)
    this.#sending ??= this.#send().finally(() => { this.#sending = null })
    return this.#waiting.length < WAITING ? null : this.#sending
  }

  sent() {
    return this.#sending
  }

  async #send() {
    await nextTurn() // what is published in one go goes in one batch
    while (this.#waiting.length) {
      const messages = this.#waiting.splice(0, BATCH)
      await producer.send({ topic, messages, compression: CompressionTypes.Snappy })
    }
  }
}

async function partitionsOf(topic) {
  const admin = kafka.admin()
  await admin.connect()
  const known = await admin.listTopics()
  if (!known.includes(topic)) await admin.createTopics({ topics: [{ topic, numPartitions: 4 }] })
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  await admin.disconnect()
  return topics[0].partitions
}

async function main() {
  const begun = Date.now()
  await producer.connect()
  const partitionMetadata = await partitionsOf(topic)
  const lanes = partitionMetadata.map(() => new Lane())
  const partitionOf = createPartitioner()

  for (let id = 0; id < Number(count); id++) {
    const order = { id, amount: id % 90 }
    const message = { key: `customer-${id % 1000}`, value: JSON.stringify(order) }
    const partition = partitionOf({ topic, partitionMetadata, message })
    await lanes[partition].publish({ ...message, partition })
  }
  await Promise.all(lanes.map((lane) => lane.sent()))
  await producer.disconnect()

  const seconds = (Date.now() - begun) / 1000
  console.log(`${count} records in ${seconds} s, ${Math.round(count / seconds)} a second`)
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
