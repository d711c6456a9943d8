// @platformatic/kafka: its own protocol implementation; keys, values and headers as Buffers.
'use strict'
const fs = require('node:fs')
const { Consumer, MessagesStreamModes, Producer } = require('@platformatic/kafka')

const toHex = (bytes) => (bytes === null || bytes === undefined ? null : bytes.toString('hex'))
const fromHex = (hex) => (hex === null ? null : Buffer.from(hex, 'hex'))

async function produce(bootstrap, file, topics) {
  const records = fs.readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line))
  const producer = new Producer({
    clientId: 'interop',
    bootstrapBrokers: [bootstrap],
    idempotent: true,
  })
  for (const one of topics) {
    const [compression, topic] = one.split('=')
    const messages = records.filter((record) => record.topic === topic).map((record) => {
      // A Map from Buffer objects: the same name may stand in it several times.
      const headers = new Map(
        record.headers.map(([name, value]) => [Buffer.from(name), fromHex(value)]))
      const { key, value, partition } = record
      return { topic, partition, key: fromHex(key), value: fromHex(value), headers }
    })
    await producer.send({ messages, compression })
  }
  await producer.close()
}

async function consume(bootstrap, groupId, count, topics) {
  const consumer = new Consumer({ clientId: 'interop', bootstrapBrokers: [bootstrap], groupId })
  const stream = await consumer.consume({
    topics,
    mode: MessagesStreamModes.EARLIEST,
    maxWaitTime: 500,
    autocommit: true,
  })
  let seen = 0
  await new Promise((resolve, reject) => {
    stream.on('error', reject)
    stream.on('data', (message) => {
      if (seen === count) return
      const { topic, partition, key, value } = message
      const headers = message.headerEntries.map(([name, bytes]) => [String(name), toHex(bytes)])
      const line = { topic, partition, key: toHex(key), value: toHex(value), headers }
      fs.writeSync(1, JSON.stringify(line) + '\n')
      if (++seen === count) resolve()
    })
  })
  await stream.close()
  await consumer.close()
}

const [role, bootstrap, first, ...rest] = process.argv.slice(2)
const done = role === 'produce'
  ? produce(bootstrap, first, rest)
  : consume(bootstrap, first, Number(rest[0]), rest.slice(1))
done.catch((error) => {
  console.error(error)
  process.exit(1)
})
