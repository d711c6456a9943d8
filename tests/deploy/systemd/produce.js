// KafkaJS, idempotent: numbered records to every partition of a topic, in rounds, until standard
// input ends. A line for each acknowledged record: partition, offset, number, time in ms.
// node produce.js BOOTSTRAP TOPIC PARTITIONS
'use strict'
const { Kafka, logLevel } = require('kafkajs')

const [bootstrap, topic, partitions] = process.argv.slice(2)
const kafka = new Kafka({
  brokers: [bootstrap], clientId: 'kafkajs', logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 200 },
})
let isOpen = true
process.stdin.resume().on('end', () => { isOpen = false })

async function main() {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const sent = Array.from({ length: Number(partitions) }, () => 0)
  while (isOpen) {
    const messages = sent.map((n, partition) => ({ partition, value: String(n) }))
    const answers = await producer.send({ topic, messages, acks: -1 })
    const lines = answers.map(({ partition, baseOffset }) =>
      [partition, baseOffset, sent[partition]++, Date.now()].join(' '))
    process.stdout.write(lines.join('\n') + '\n')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await producer.disconnect()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
