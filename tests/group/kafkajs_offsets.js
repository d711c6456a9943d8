// KafkaJS copies records from one topic to another, its offsets in the same transactions; the
// second of four is aborted.  node kafkajs_offsets.js BOOTSTRAP SOURCE TARGET GROUP
'use strict'
const { Kafka, logLevel } = require('kafkajs')

const [bootstrap, source, target, groupId] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'copies', brokers: [bootstrap], logLevel: logLevel.ERROR })

async function main() {
  const consumer = kafka.consumer({ groupId })
  const producer = kafka.producer({
    transactionalId: `tx-${groupId}`, idempotent: true, maxInFlightRequests: 1,
  })
  await consumer.connect()
  await producer.connect()
  await consumer.subscribe({ topics: [source], fromBeginning: true })
  const records = []
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
    const eachMessage = async ({ message }) => {
      records.push(message.value)
      if (records.length === 30) resolve()
    }
    consumer.run({ autoCommit: false, eachMessage }).catch(reject)
  })
  let position = 0
  for (const commit of [true, false, true, true]) {
    const transaction = await producer.transaction()
    const messages = records.slice(position, position + 10).map((value) => ({ value }))
    await transaction.send({ topic: target, messages })
    const offsets = [{ partition: 0, offset: String(position + 10) }]
    await transaction.sendOffsets({ consumerGroupId: groupId, topics: [{ topic: source, partitions: offsets }] })
    if (commit) {
      await transaction.commit()
      position += 10
    } else {
      await transaction.abort()
    }
  }
  await consumer.disconnect()
  await producer.disconnect()
  console.log(JSON.stringify({ position }))
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
