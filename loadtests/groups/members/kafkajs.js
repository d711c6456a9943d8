// KafkaJS; see the package's guide for the commands. It speaks the classic protocol only.
'use strict'
const readline = require('node:readline')
const { Kafka, logLevel } = require('kafkajs')

const [bootstrap] = process.argv.slice(2)
const tell = (event, more) =>
  process.stdout.write(JSON.stringify({ event, at: Number(process.hrtime.bigint()), ...more }) + '\n')

let consumer = null

async function open(groupId, topic, protocol, sessionMs) {
  if (protocol !== 'classic') throw new Error('KafkaJS knows only classic groups')
  const kafka = new Kafka({ clientId: 'instant', brokers: [bootstrap], logLevel: logLevel.NOTHING })
  const mine = (consumer = kafka.consumer({ groupId, sessionTimeout: Number(sessionMs) }))
  let fresh = new Set()
  mine.on(mine.events.GROUP_JOIN, ({ payload }) => {
    const partitions = payload.memberAssignment[topic] ?? []
    fresh = new Set(partitions)
    tell('assigned', { partitions })
  })
  mine.on(mine.events.REBALANCING, () => {
    fresh = new Set()
    tell('assigned', { partitions: [] })
  })
  mine.on(mine.events.CRASH, ({ payload }) => {
    console.error(payload.error)
    if (!payload.restart) process.exit(1)
  })
  await mine.connect()
  tell('subscribe')
  await mine.subscribe({ topics: [topic], fromBeginning: true })
  await mine.run({
    eachMessage: async ({ partition }) => {
      if (fresh.delete(partition)) tell('record', { partition })
    },
  })
}

async function close() {
  tell('closing')
  await consumer.disconnect()
  tell('closed')
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [command, ...rest] = line.split(' ')
  const done = command === 'open' ? open(...rest) : close()
  done.catch((error) => {
    console.error(error)
    process.exit(1)
  })
}).on('close', () => process.exit(0))
