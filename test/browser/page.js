// What a web page does with the broker, with the libraries as pages load them (`mqtt`, `StompJs` and `rheaUmd` are global). Run by chromium.test.ts.

/** QoS 0, 1 and 2 to itself; answers what came. */
globalThis.overMqtt = (url) =>
  new Promise((resolve, reject) => {
    const client = mqtt.connect(url, { reconnectPeriod: 0, protocolVersion: 4, connectTimeout: 5000 })
    const got = []
    client.on('error', reject)
    client.on('close', () => reject(new Error('closed')))
    client.on('message', (topic, payload, packet) => {
      got.push([topic, payload.toString(), packet.qos])
      if (got.length < 3) return
      client.removeAllListeners('close')
      client.end(true, {}, () => resolve(got))
    })
    client.on('connect', () =>
      client.subscribe('page/#', { qos: 2 }, () => {
        for (const qos of [0, 1, 2]) client.publish(`page/${qos}`, `grüße ${qos}`, { qos })
      }),
    )
  })

/** Text and bytes to itself; answers what came. */
globalThis.overStomp = (url) =>
  new Promise((resolve, reject) => {
    const client = new StompJs.Client({ brokerURL: url, reconnectDelay: 0, heartbeatIncoming: 500, heartbeatOutgoing: 500 })
    const got = []
    client.onStompError = (frame) => reject(new Error(frame.body))
    client.onWebSocketClose = (event) => reject(new Error(`closed with ${event.code}`))
    client.onConnect = () => {
      client.subscribe('/queue/page', (message) => {
        got.push(got.length === 0 ? message.body : [...message.binaryBody])
        if (got.length < 2) return
        client.onWebSocketClose = (event) => resolve({ version: client.connectedVersion ?? '1.2', got, code: event.code })
        void client.deactivate()
      })
      client.publish({ destination: '/queue/page', body: 'grüße 😀' })
      client.publish({ destination: '/queue/page', binaryBody: Uint8Array.of(255, 0, 254) })
    }
    client.activate()
  })

/** Text, bytes and a map to itself; answers what came. */
globalThis.overAmqp = (url) =>
  new Promise((resolve, reject) => {
    const details = rheaUmd.websocket_connect(WebSocket)(url, ['amqp'], {})
    const connection = rheaUmd.connect({ connection_details: details, reconnect: false })
    const got = []
    connection.on('disconnected', () => reject(new Error('disconnected')))
    connection.on('message', ({ message }) => {
      const { body } = message
      got.push(body.content === undefined ? body : [...new Uint8Array(body.content)])
      if (got.length < 3) return
      connection.once('connection_close', () => resolve(got))
      connection.close()
    })
    connection.open_receiver('page.amqp')
    const sender = connection.open_sender('page.amqp')
    sender.once('sendable', () => {
      sender.send({ body: 'grüße 😀' })
      sender.send({ body: rheaUmd.message.data_section(new Uint8Array([255, 0, 254])) })
      sender.send({ body: { a: [1, null] } })
    })
  })

/** How a plain WebSocket of this page fares. */
globalThis.outcome = (url, subprotocols) =>
  new Promise((resolve) => {
    const ws = new WebSocket(url, subprotocols)
    ws.onopen = () => {
      resolve(`open ${ws.protocol}`)
      ws.close()
    }
    ws.onerror = () => resolve('refused')
  })
