// Photographs a report for the README: node pictures.cjs REPORT CHROMIUM FOLDER
const { chromium } = require("playwright-core");

const [report, executablePath, folder] = process.argv.slice(2);
const LOOKS = [
  { name: "report", viewport: { width: 900, height: 1330 }, colorScheme: "light" },
  { name: "report-phone", viewport: { width: 390, height: 1330 }, colorScheme: "light" },
  { name: "report-dark", viewport: { width: 900, height: 1330 }, colorScheme: "dark", at: "#method" },
];

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  for (const { name, at, ...options } of LOOKS) {
    const tab = await browser.newPage(options);
    await tab.goto(`file://${report}`);
    if (at) await tab.locator(at).evaluate((element) => element.scrollIntoView());
    await tab.screenshot({ path: `${folder}/${name}.png` });
    if (name === "report") await tab.pdf({ path: `${folder}/report.pdf`, preferCSSPageSize: true });
    await tab.close();
  }
  await browser.close();
})();
