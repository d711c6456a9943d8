// Sends orders one by one; each is stored once and in order, however often its request is sent.
//
//     node idempotent.js [TOPIC [COUNT]]
'use strict'
const { Kafka, Partitioners, logLevel } = require('kafkajs')

const [topic = 'orders', count = '10'] = process.argv.slice(2)

const kafka = new Kafka({
  clientId: 'shop',
  brokers: (process.env.BOOTSTRAP_SERVERS ?? '127.0.0.1:9092').split(','),
  logLevel: logLevel.WARN,
})
const producer = kafka.producer({
  createPartitioner: Partitioners.DefaultPartitioner,
  idempotent: true,
  maxInFlightRequests: 1,
  retry: { retries: Number.MAX_SAFE_INTEGER, maxRetryTime: 5000 }, // else it gives up after 5
})

// One send() at a time, of records of one key: KafkaJS numbers the records of a failed request
// anew, which is right as long as exactly the same ones follow, to the same partition.
async function publish(order) {
  const message = { key: order.customer, value: JSON.stringify(order) }
  const [{ partition, baseOffset }] = await producer.send({ topic, messages: [message] })
  console.log(`order ${order.id}: partition ${partition}, offset ${baseOffset}`)
}

async function main() {
  await producer.connect()
  for (let id = 0; id < Number(count); id++) {
    await publish({ id, customer: `customer-${id % 3}`, amount: id })
  }
  await producer.disconnect()
}

// A send() that has given up may have arrived all the same. This producer must not go on then: its
// next record could be taken for that one. A new process is a new producer.
main().catch((error) => {
  console.error(error)
  process.exit(1)
})
