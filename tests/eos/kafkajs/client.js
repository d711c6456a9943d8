// KafkaJS: consume, transform, produce in transactions; and read_committed.
//
// Its sendOffsets() knows no group generation, so that what fences an instance which has lost a
// partition must be the transactional id: there is one for each input partition, and whoever is
// assigned it begins a transaction (which fences the one before), asks for the stored offset then,
// and goes on from there. After any error: a new producer, and the same again.
'use strict'
const fs = require('node:fs')
const { Kafka, logLevel } = require('kafkajs')

const BATCH = 50
const STUCK = 4
const args = Object.fromEntries(process.argv.slice(2).map((one) => {
  const at = one.indexOf('=')
  return [one.slice(0, at), one.slice(at + 1)]
}))

const file = fs.openSync(args.journal, 'a')
let numbers = 0
function note(event, what) {
  const line = { at: Date.now(), process: args.process, event, ...what }
  fs.writeSync(file, JSON.stringify(line) + '\n')
}

const kafka = new Kafka({
  clientId: args.process,
  brokers: args.bootstrap.split(','),
  logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 50, maxRetryTime: 1000, retries: 8 },
})
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const complain = (what, error) =>
  console.error(`${what}: ${error.name} ${error.type ?? ''} ${error.message}`)

class Owner {
  constructor(partition) {
    this.partition = partition
    this.next = null // the offset to be copied next
    this.producer = null
  }

  // A transaction of a producer that has fenced all others; null when there is nothing to fence.
  async begin(admin) {
    if (this.producer === null) {
      this.producer = kafka.producer({
        transactionalId: `${args.group}-${args.input}-${this.partition}`,
        transactionTimeout: Number(args.timeout),
        idempotent: true,
        maxInFlightRequests: 1,
        allowAutoTopicCreation: false,
      })
      await this.producer.connect()
    }
    const transaction = await this.producer.transaction()
    if (this.next === null) {
      const asked = Date.now()
      const stored = await admin.fetchOffsets({ groupId: args.group, topics: [args.input] })
      const found = stored[0].partitions.find(({ partition }) => partition === this.partition)
      const offset = Number(found?.offset ?? -1)
      const offsets = { [`${args.input}/${this.partition}`]: offset }
      note('fetched', { asked, group: args.group, offsets })
      this.next = Math.max(offset, 0)
    }
    return transaction
  }

  async drop() {
    const { producer } = this
    this.producer = this.next = null
    if (producer) await producer.disconnect().catch(() => {})
  }
}

async function copy() {
  const owners = new Map()
  let transactions = 0
  const admin = kafka.admin()
  await admin.connect()
  const consumer = kafka.consumer({
    groupId: args.group, sessionTimeout: Number(args.session), heartbeatInterval: 300,
    maxWaitTimeInMs: 300, allowAutoTopicCreation: false,
    retry: { restartOnFailure: async () => true },
  })
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    note('seek', {})
    const mine = new Set(payload.memberAssignment[args.input] ?? [])
    for (const [partition, owner] of owners) {
      if (!mine.has(partition)) {
        owners.delete(partition)
        owner.drop()
      }
    }
  })

  async function send(transaction, txn, partition, messages) {
    const values = messages.map(({ key, value }) => {
      const id = ++numbers
      const record = { key: key.toString(), value: `${value}@${txn}` }
      note('send', { id, topic: args.output, partition, ...record, txn })
      return { id, ...record }
    })
    const [{ baseOffset }] = await transaction.send({
      topic: args.output,
      messages: values.map(({ key, value }) => ({ key, value, partition })),
    })
    const base = Number(baseOffset)
    values.forEach(({ id }, n) => note('sent', { id, partition, offset: base < 0 ? -1 : base + n }))
  }

  // Copies `messages` and whether that is certain.
  async function one(owner, transaction, messages) {
    const { partition } = owner
    const txn = `${args.process}:${transactions++}`
    note('begin', { txn })
    await send(transaction, txn, partition, messages)
    const next = Number(messages.at(-1).offset) + 1
    const id = ++numbers
    const offsets = { [`${args.input}/${partition}`]: next }
    note('offsets', { id, group: args.group, offsets, txn })
    await transaction.sendOffsets({
      consumerGroupId: args.group,
      topics: [{ topic: args.input, partitions: [{ partition, offset: String(next) }] }],
    })
    note('stored', { id })
    if (Math.random() < 0.3) await pause(30)
    note('commit', { txn })
    await transaction.commit()
    note('committed', { txn })
    owner.next = next
  }

  async function eachBatch({ batch, heartbeat, isRunning, isStale, resolveOffset }) {
    const { partition } = batch
    if (!owners.has(partition)) owners.set(partition, new Owner(partition))
    const owner = owners.get(partition)
    let messages = batch.messages
    try {
      let transaction = await owner.begin(admin)
      if (messages.length && Number(messages[0].offset) > owner.next) {
        await transaction.abort()
        note('seek', { partitions: [`${args.input}/${partition}`] })
        consumer.seek({ topic: args.input, partition, offset: String(owner.next) })
        return
      }
      messages = messages.filter(({ offset }) => Number(offset) >= owner.next)
      while (messages.length && isRunning() && !isStale()) {
        const some = messages.slice(0, BATCH)
        messages = messages.slice(BATCH)
        const records = some.map((m) => [Number(m.offset), m.key.toString(), m.value.toString()])
        note('poll', { topic: args.input, partition, records })
        if (transaction === null) transaction = await owner.begin(admin)
        await one(owner, transaction, some)
        transaction = null
        resolveOffset(some.at(-1).offset)
        await heartbeat()
      }
      if (transaction !== null) await transaction.abort()
      if (batch.messages.length && !messages.length) resolveOffset(batch.messages.at(-1).offset)
    } catch (error) {
      complain(`partition ${partition}`, error)
      note('seek', { partitions: [`${args.input}/${partition}`] })
      await owner.drop()
      // A consumer that has lost its place in the group must not fence its successor again.
      await heartbeat()
      await pause(100)
    }
  }

  let stopping = false
  process.on('SIGTERM', async () => {
    if (stopping) return
    stopping = true
    await consumer.disconnect().catch(() => {})
    process.exit(0)
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [args.input], fromBeginning: true })
  await consumer.run({
    autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently: 3, eachBatch,
  })
}

// ends=0:17,1:4: the offset behind the last record of each partition, after which it may stop.
async function read() {
  const pairs = args.ends.split(',').filter(Boolean)
  const ends = new Map(pairs.map((one) => one.split(':').map(Number)))
  const consumer = kafka.consumer({ groupId: args.group, maxWaitTimeInMs: 300 })
  await consumer.connect()
  await consumer.subscribe({ topics: [args.topic], fromBeginning: true })
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
    const left = new Set(ends.keys())
    if (!left.size) resolve()
    const eachBatch = async ({ batch }) => {
      const { partition, messages } = batch
      if (!messages.length) return
      const records = messages.map((m) => [Number(m.offset), m.key.toString(), m.value.toString()])
      note('poll', { topic: args.topic, partition, records })
      if (left.has(partition) && records.at(-1)[0] + 1 >= ends.get(partition)) {
        left.delete(partition)
        note('reached', { topic: args.topic, partition, offset: ends.get(partition) })
        if (!left.size) resolve()
      }
    }
    consumer.run({ autoCommit: false, eachBatch }).catch(reject)
  })
  await consumer.disconnect()
}

;(args.role === 'copy' ? copy() : read()).catch((error) => {
  console.error(error)
  const gaveUp = ['KafkaJSNumberOfRetriesExceeded', 'KafkaJSConnectionError'].includes(error.name)
  process.exit(gaveUp ? STUCK : 1)
})
