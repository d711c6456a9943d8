// Transactions of KafkaJS: one committed, one aborted, and a consume-transform-produce loop.
// node transactions.js BOOTSTRAP INPUT OUTPUT GROUP COUNT
'use strict'
const { Kafka, logLevel } = require('kafkajs')

const [bootstrap, input, output, groupId, count] = process.argv.slice(2)
const kafka = new Kafka({ brokers: [bootstrap], clientId: 'kafkajs', logLevel: logLevel.ERROR })

async function main() {
  const producer = kafka.producer({
    transactionalId: `kafkajs-${groupId}`, maxInFlightRequests: 1, idempotent: true,
  })
  await producer.connect()
  for (const commit of [true, false, true]) {
    const transaction = await producer.transaction()
    // With keys: where a send is tried again, KafkaJS spreads keyless records over the partitions
    // anew, and loses those that move to a broker whose part of the send succeeded.
    const messages = [...Array(10).keys()].map((n) => ({ key: `${n}`, value: `${commit}-${n}` }))
    await transaction.send({ topic: input, messages })
    await (commit ? transaction.commit() : transaction.abort())
  }
  const consumer = kafka.consumer({ groupId, readUncommitted: false })
  await consumer.connect()
  await consumer.subscribe({ topics: [input], fromBeginning: true })
  let seen = 0
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
    const eachBatch = async ({ batch }) => {
      const transaction = await producer.transaction()
      await transaction.send({ topic: output, messages: batch.messages.map(({ key, value }) => ({ key, value })) })
      const partitions = [{ partition: batch.partition, offset: String(BigInt(batch.lastOffset()) + 1n) }]
      await transaction.sendOffsets({
        consumerGroupId: groupId, topics: [{ topic: batch.topic, partitions }],
      })
      await transaction.commit()
      seen += batch.messages.length
      if (seen >= Number(count)) resolve()
    }
    consumer.run({ eachBatch, autoCommit: false }).catch(reject)
  })
  await consumer.disconnect()
  await producer.disconnect()
}

main().catch((error) => { console.error(error); process.exit(1) })
