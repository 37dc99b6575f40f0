/** The words of the Learn tab; formulas are LaTeX in lessons.json, and MathML in formulas.js. */
import words from "./lessons.json" with { type: "json" };

/** @type {{number: number, title: string, formula: string, words: string, symbols: string[][]}[]} */
export const LESSONS = words.lessons;
/** Symbols that rows of numbers are named by: LaTeX, and what it is called. @type {Record<string, string[]>} */
export const SYMBOLS = words.symbols;
