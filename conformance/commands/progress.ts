// Lines while checks run. On a terminal: what needs attention, and below it one line that says how far it is. Elsewhere every line, as logs want them.

export type Screen = Readonly<{ write: (text: string) => void; terminal: boolean; columns: number }>

export class Progress {
  readonly #screen: Screen
  readonly #all: number
  #done = 0
  #shown = false

  constructor(screen: Screen, all: number) {
    this.#screen = screen
    this.#all = all
  }

  /** One more is done. `important`: it stays on a terminal too. */
  told(line: string, important: boolean): void {
    this.#done++
    if (!this.#screen.terminal || important) this.line(line)
    if (this.#screen.terminal) this.#show(line)
  }

  line(text: string): void {
    this.#clear()
    this.#screen.write(`${text}\n`)
  }

  end(): void {
    this.#clear()
  }

  #show(line: string): void {
    this.#clear()
    const [first = ''] = line.split('\n')
    this.#screen.write(`${this.#done} of ${this.#all}  ${first}`.slice(0, Math.max(20, this.#screen.columns - 1)))
    this.#shown = true
  }

  #clear(): void {
    if (this.#shown) this.#screen.write('\r\u001b[2K')
    this.#shown = false
  }
}
