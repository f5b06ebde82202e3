/**
 * The first installation of a deployer on Windows as a program of cmd.exe, which an operator runs beside the package and the kit.
 *
 * The package goes first: the service that it starts makes its folder, or does not believe the one that is there (base/own-folder.ts). Only
 * then is there a place for a token. 3010 is an end that is good, too: Windows wants to start anew. Programs of Windows are called by their paths, because cmd.exe looks into the current
 * folder first. It is in a file all the way: properties of Windows Installer stand in its log.
 */
import { packageFile, type PackageManifest } from '../contract/packages.ts';

const usualPort = 6160;

/** Settings that somebody wrote there stay. */
const settings = (port: number): string =>
  port === usualPort
    ? ''
    : `if not exist "%home%\\deployer.json" (
  echo ${JSON.stringify({ listen: { port } })}> "%home%\\deployer.json"
  %SystemRoot%\\System32\\net.exe stop tidemark-deployer >nul
  %SystemRoot%\\System32\\net.exe start tidemark-deployer >nul
)
`;

export function windowsInstallerProgram({ host, deployerPort, package: manifest }: { host: string; deployerPort: number; package: PackageManifest }): string {
  return `@echo off
rem Installs the deployer service of Tidemark ${manifest.version} on ${host} and has it enrol. Run it there as an administrator, once, within a day.
setlocal
set "home=C:\\ProgramData\\Tidemark"
set "kit=%~dp0kit.json"
if not exist "%kit%" (
  echo The kit is not beside this program: it was used already, or left behind.
  exit /b 1
)
start "" /wait %SystemRoot%\\System32\\msiexec.exe /i "%~dp0${packageFile(manifest)}.msi" /qn /norestart
set "ended=%errorlevel%"
if not "%ended%"=="0" if not "%ended%"=="3010" (
  echo Windows Installer ended with %ended% and did not install the deployer. Run this as an administrator; if "C:\\Program Files\\Tidemark\\deployer\\refused.log" is there, it says why the service did not start.
  exit /b 1
)
if not exist "%home%\\deployer\\" (
  echo The deployer service did not make its folder %home%\\deployer.
  exit /b 1
)
${settings(deployerPort)}copy /y "%kit%" "%home%\\deployer\\kit.part" >nul
move /y "%home%\\deployer\\kit.part" "%home%\\deployer\\kit.json" >nul
if errorlevel 1 exit /b 1
del "%kit%"
echo tidemark-deployer ${manifest.version} is installed
`.replaceAll('\n', '\r\n');
}
