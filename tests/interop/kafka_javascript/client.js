// @confluentinc/kafka-javascript (librdkafka) through its KafkaJS-like interface.
// Cannot send: a header without a value (refused), or with an empty one (sent as one without).
// Cannot see: a header without a value (shown as an empty one).
'use strict'
const fs = require('node:fs')
const { Kafka, logLevel } = require('@confluentinc/kafka-javascript').KafkaJS

const toHex = (bytes) => (bytes === null || bytes === undefined ? null : bytes.toString('hex'))
const fromHex = (hex) => (hex === null ? null : Buffer.from(hex, 'hex'))

async function produce(kafka, file, topics) {
  const records = fs.readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line))
  for (const one of topics) {
    const [codec, topic] = one.split('=')
    const producer = kafka.producer({
      'compression.codec': codec,
      'enable.idempotence': true,
      'linger.ms': 20,
    })
    await producer.connect()
    const messages = records.filter((record) => record.topic === topic).map((record) => {
      const headers = {}
      for (const [name, value] of record.headers) (headers[name] ??= []).push(fromHex(value))
      const { key, value, partition } = record
      return { key: fromHex(key), value: fromHex(value), partition, headers }
    })
    await producer.send({ topic, messages })
    await producer.disconnect()
  }
}

async function consume(kafka, groupId, count, topics) {
  const consumer = kafka.consumer({ 'group.id': groupId, 'auto.offset.reset': 'earliest' })
  await consumer.connect()
  await consumer.subscribe({ topics })
  let seen = 0
  await new Promise((resolve, reject) => {
    const eachMessage = async ({ topic, partition, message }) => {
      if (seen === count) return
      const headers = Object.entries(message.headers ?? {}).flatMap(([name, values]) =>
        [values].flat().map((value) => [name, toHex(value)]))
      const { key, value } = message
      const line = { topic, partition, key: toHex(key), value: toHex(value), headers }
      fs.writeSync(1, JSON.stringify(line) + '\n')
      if (++seen === count) resolve()
    }
    consumer.run({ eachMessage }).catch(reject)
  })
  await consumer.disconnect()
}

const [role, bootstrap, first, ...rest] = process.argv.slice(2)
const kafka = new Kafka({ 'bootstrap.servers': bootstrap, 'log_level': 3 })
const done = role === 'produce'
  ? produce(kafka, first, rest)
  : consume(kafka, first, Number(rest[0]), rest.slice(1))
done.then(() => process.exit(0)).catch((error) => {
  console.error(error)
  process.exit(1)
})
