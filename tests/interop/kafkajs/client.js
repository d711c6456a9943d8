// KafkaJS with its codec plug-ins: snappy and lz4 from npm (@kafkajs/zstd builds on no current
// Node.js, so zstd is Node's own, registered the way the plug-ins do it).
// Cannot send: a header without a value (its encoder takes the length of null).
'use strict'
const fs = require('node:fs')
const zlib = require('node:zlib')
const { promisify } = require('node:util')
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs')

const LZ4 = require('kafkajs-lz4')
CompressionCodecs[CompressionTypes.LZ4] = new (LZ4.default ?? LZ4)().codec
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
const zstd = { compress: promisify(zlib.zstdCompress), decompress: promisify(zlib.zstdDecompress) }
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: (encoder) => zstd.compress(encoder.buffer),
  decompress: (buffer) => zstd.decompress(buffer),
})
const CODECS = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' }

const toHex = (bytes) => (bytes ? bytes.toString('hex') : bytes === null ? null : 'undefined')
const fromHex = (hex) => (hex === null ? null : Buffer.from(hex, 'hex'))

async function produce(kafka, file, topics) {
  const records = fs.readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line))
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  for (const one of topics) {
    const [codec, topic] = one.split('=')
    const messages = records.filter((record) => record.topic === topic).map((record) => {
      const headers = {}
      for (const [name, value] of record.headers) (headers[name] ??= []).push(fromHex(value))
      const { key, value, partition } = record
      return { key: fromHex(key), value: fromHex(value), partition, headers }
    })
    await producer.send({ topic, messages, compression: CompressionTypes[CODECS[codec]] })
  }
  await producer.disconnect()
}

async function consume(kafka, groupId, count, topics) {
  const consumer = kafka.consumer({ groupId })
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  let seen = 0
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
    const eachMessage = async ({ topic, partition, message }) => {
      if (seen === count) return
      const headers = Object.entries(message.headers).flatMap(([name, values]) =>
        [values].flat().map((value) => [name, toHex(value)]))
      const { key, value } = message
      const line = { topic, partition, key: toHex(key), value: toHex(value), headers }
      fs.writeSync(1, JSON.stringify(line) + '\n')
      if (++seen === count) resolve()
    }
    consumer.run({ eachMessage, partitionsConsumedConcurrently: 3 }).catch(reject)
  })
  await consumer.disconnect()
}

const [role, bootstrap, first, ...rest] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'interop', brokers: [bootstrap], logLevel: logLevel.ERROR })
const done = role === 'produce'
  ? produce(kafka, first, rest)
  : consume(kafka, first, Number(rest[0]), rest.slice(1))
done.catch((error) => {
  console.error(error)
  process.exit(1)
})
