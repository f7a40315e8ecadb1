@echo off
rem BAT OS on Windows: sets itself up, starts the watchdog and the kernel, opens the Architect's prompt.
rem puter.bat [--stay] [--json] [--mission TEXT]...  or  puter.bat test ^| stop ^| status ^| doctor
setlocal EnableExtensions
set "HERE=%~dp0"
if "%HERE:~-1%"=="\" set "HERE=%HERE:~0,-1%"
set "VENV=%HERE%\.venv"
set "PY=%VENV%\Scripts\python.exe"
set "STAMP=%VENV%\.batos-stamp"
set "TEST_WEIGHTS=qwen2.5-coder-0.5b"
if not defined BATOS_HOME set "BATOS_HOME=%CD%"
if not exist "%BATOS_HOME%\run" mkdir "%BATOS_HOME%\run"
set "EXTRAS=full"
if /i "%BATOS_INSTALL%"=="light" set "EXTRAS="

if /i "%~1"=="help" goto usage
if /i "%~1"=="--help" goto usage
if /i "%~1"=="-h" goto usage
if /i "%~1"=="test" goto test
if /i "%~1"=="stop" goto stop
if /i "%~1"=="status" goto status
if /i "%~1"=="doctor" goto doctor
goto open

:usage
echo usage: puter.bat [--stay] [--json] [--mission TEXT]...
echo        puter.bat test ^| stop ^| status ^| doctor
exit /b 0

:open
call :setup || exit /b 1
set "STAY="
for %%A in (%*) do if /i "%%~A"=="--stay" set "STAY=yes"
set "REST=%*"
if defined STAY call set "REST=%%REST:--stay=%%"
if /i not "%BATOS_ENGINE:~0,9%"=="scripted:" if /i not "%BATOS_ENGINE%"=="openai" "%PY%" -m batos models fetch
set "STARTED="
"%PY%" "%HERE%\min_watchdog_service.py" --status >nul 2>nul
if errorlevel 1 (
  start "BAT OS" /b "%PY%" "%HERE%\min_watchdog_service.py" --background >"%BATOS_HOME%\run\watchdog.out" 2>&1
  set "STARTED=yes"
)
"%PY%" "%HERE%\min_watchdog_service.py" --wait
set "CODE=%ERRORLEVEL%"
if "%CODE%"=="0" (
  "%PY%" "%HERE%\chat_client.py" %REST%
  call set "CODE=%%ERRORLEVEL%%"
)
if defined STARTED if not defined STAY "%PY%" "%HERE%\min_watchdog_service.py" --stop
exit /b %CODE%

:test
set "EXTRAS=%EXTRAS%,dev"
if "%EXTRAS%"==",dev" set "EXTRAS=dev"
call :setup || exit /b 1
"%PY%" -m batos models fetch %TEST_WEIGHTS% || exit /b 1
cd /d "%HERE%"
set "FAILED="
"%PY%" -m ruff check . || set "FAILED=%FAILED% ruff"
"%PY%" -m ruff format --check . || set "FAILED=%FAILED% format"
"%PY%" -m mypy || set "FAILED=%FAILED% mypy"
"%PY%" -m interrogate -q batos || set "FAILED=%FAILED% interrogate"
"%PY%" -m pytest -q --session-timeout=900 || set "FAILED=%FAILED% pytest"
if defined FAILED (
  echo Failed:%FAILED% 1>&2
  exit /b 1
)
exit /b 0

:stop
"%PY%" "%HERE%\min_watchdog_service.py" --stop
exit /b %ERRORLEVEL%

:status
"%PY%" -m batos status
exit /b %ERRORLEVEL%

:doctor
if exist "%PY%" (
  "%PY%" -m batos doctor
) else (
  call :find_python || exit /b 1
  cd /d "%HERE%"
  call %%PYTHON%% -m batos.operator.plan
)
exit /b %ERRORLEVEL%

rem Sets up .venv unless its stamp names these project files and these extras.
:setup
set "PRINT="
for %%F in ("%HERE%\pyproject.toml" "%HERE%\constraints.txt") do call set "PRINT=%%PRINT%% %%~zF %%~tF"
set "PRINT=%PRINT% [%EXTRAS%]"
set "HAVE="
if exist "%STAMP%" set /p HAVE=<"%STAMP%"
if "%HAVE%"=="%PRINT%" exit /b 0
call :find_python || exit /b 1
pushd "%HERE%"
%PYTHON% -m batos.operator.plan || (popd & exit /b 1)
if not exist "%PY%" %PYTHON% -m venv --clear "%VENV%" || (popd & exit /b 1)
echo [1/2] llama-cpp-python is built, which takes a few minutes
"%PY%" -m pip install --disable-pip-version-check -c constraints.txt llama-cpp-python || (popd & exit /b 1)
echo [2/2] packages
set "SPEC=."
if defined EXTRAS set "SPEC=.[%EXTRAS%]"
"%PY%" -m pip install --disable-pip-version-check -c constraints.txt -e "%SPEC%" || (popd & exit /b 1)
popd
>"%STAMP%" echo %PRINT%
exit /b 0

:find_python
for %%P in ("py -3.13" "py -3.12" "py -3.11" "py -3" "python") do (
  call :try_python %%~P && exit /b 0
)
echo BAT OS needs Python 3.11 or newer. 1>&2
exit /b 1

:try_python
%* -c "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))" >nul 2>nul || exit /b 1
set "PYTHON=%*"
exit /b 0
